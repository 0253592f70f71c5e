import { chmodSync, mkdirSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { grpcScript, secret as secretOfGrpc } from '../../native/test/grpc-ends.ts'
import { type Speaker, secret, speakers } from '../../native/test/speakers.ts'
import type { OperationView } from '../../packages/aggregator/src/topology/answer.ts'
import { startCollector } from '../../packages/collector/src/collector.ts'
import { testConfig } from '../../packages/collector/src/config.testing.ts'
import { Lab } from '../lab/lab.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { Product } from './product.ts'

const missing = whyNoLab()
const silentLog = { info() {}, warn() {}, error() {} }
const here = speakers.filter(({ isHere }) => isHere)
const portOf = new Map(here.map(({ name }, i) => [name, 8301 + i]))
/** One that identifies a single thing, where names of operations may stand. */
const token = '9f86d081884c7d659a2feaa0c55ad015'
const secrets = [secret, secretOfGrpc, token]

const mariadb = (port: string, user: string, ...more: string[]) => {
  const at = ['-h', '127.0.0.1', `-P${port}`]
  return ['mariadb', '--no-defaults', ...at, '-u', user, '--skip-ssl', ...more]
}

/** What is said besides, once: programs at a port, their input, and whether they have to succeed. */
const further: readonly (readonly [name: string, argv: (port: string) => string[], input?: string])[] = [
  [
    'postgres',
    port => ['psql', '-h', '127.0.0.1', '-p', port, '-U', 'postgres', '-X', 'postgres'],
    `CREATE USER "${secret}" PASSWORD '${secret}';
     SELECT id AS "${secret}" /* ${secret} */ FROM items WHERE id::text = $x$${secret}$x$; -- ${secret}
     PREPARE one(text) AS SELECT count(*) FROM items WHERE id::text = $1; EXECUTE one('${secret}');
     SELECT * FROM items WHERE '${secret}';
     COPY items FROM STDIN;\n${secret}\n\\.\n`,
  ],
  ['postgres', port => ['psql', '-h', '127.0.0.1', '-p', port, '-U', secret, '-X', secret, '-c', 'SELECT 1']],
  [
    'mysql',
    port => mariadb(port, 'root', '-f', 'shop'),
    `CREATE USER '${secret}'@'%' IDENTIFIED BY '${secret}';
     SELECT id AS \`${secret}\`, "${secret}" /* ${secret} */ FROM items; # ${secret}
     PREPARE one FROM 'SELECT id FROM items WHERE id = ?'; SET @a = '${secret}'; EXECUTE one USING @a;
     INSERT INTO items VALUES ('${secret}');\n`,
  ],
  ['mysql', port => mariadb(port, secret, `-p${secret}`, secret)],
  [
    'redis',
    port => ['redis-cli', '-p', port],
    `AUTH ${secret} ${secret}\nACL SETUSER ${secret} on >${secret}\nEVAL "return '${secret}'" 1 ${secret}
     ${secret} x\nCONFIG SET ${secret} ${secret}\nPUBLISH ${secret} ${secret}\nLPUSH ${token} ${secret}\nGET ${token}\n`,
  ],
  [
    'mqtt',
    port => [
      ...[
        'mosquitto_pub',
        '-h',
        '127.0.0.1',
        '-p',
        port,
        '-i',
        secret,
        '-u',
        secret,
        '-P',
        secret,
        '-q',
        '2',
      ],
      ...[
        '--will-topic',
        secret,
        '--will-payload',
        secret,
        '-V',
        '5',
        '-D',
        'publish',
        'user-property',
        secret,
        secret,
      ],
      ...['-t', `plant/${token}/heat/of/${secret}`, '-m', secret],
    ],
  ],
  [
    'http1',
    port => [
      ...['curl', '-s', `http://127.0.0.1:${port}/reset/${token}?key=${secret}#${secret}`, '-d', secret],
      ...['-H', `x-token: ${secret}`, '-u', `${secret}:${secret}`, '-b', secret, '-A', secret, '-e', secret],
    ],
  ],
]

/** What is told of all of it, so that something is looked through. */
const operations = [
  ...here.map(({ said }) => said.replace(/( shop\.example| h2)? \d+$/, '')),
  'shop.v1.Cart/Missing',
  'POST /reset/{id}',
  'PUBLISH plant/{id}/heat/of',
  'LPUSH',
  'COPY items',
  'INSERT items',
]

describe.skipIf(missing !== '')(`secrets in what programs say ${missing}`, () => {
  let lab: Lab
  let dataDir: string

  beforeAll(async () => {
    await Lab.removeStale()
    lab = await Lab.up({ nodes: 1, pods: 1 })
    dataDir = await mkdtemp(join(tmpdir(), 'skybraid-secrets-'))
    chmodSync(lab.directory, 0o755)
    for (const speaker of here) {
      const folder = join(lab.directory, speaker.name)
      mkdirSync(folder)
      const port = portOf.get(speaker.name)!
      const server = await lab.spawn('a1', speaker.server(folder, port))
      await lab.listening(server, port)
      const output = async (program: string, ...args: string[]) =>
        (await lab.exec('a1', [program, ...args])).stdout
      await speaker.prepare?.({ output }, port)
    }
  })

  afterAll(async () => {
    await lab?.down()
    await rm(dataDir, { recursive: true, force: true })
  })

  /** Every protocol's programs, with secrets wherever there is room for one. */
  async function talk(): Promise<void> {
    for (const speaker of here) await ask(speaker)
    for (const [name, argv, input = ''] of further) {
      const port = portOf.get(name)
      if (port !== undefined)
        await lab.exec('a1', argv(String(port)), { input: input.replaceAll(/^ +/gm, ''), allowFailure: true })
    }
    const ends = await lab.spawn('a1', [process.execPath, '-e', grpcScript])
    const port = (await answerTo(ends, 'serve')).trim()
    for (const method of ['Get', 'Missing', 'Denied', 'List', 'Put', 'Chat'])
      await answerTo(ends, `call ${port} ${method} 3 1 0`)
    await ends.stop()
  }

  async function ask(speaker: Speaker): Promise<void> {
    const program = await lab.spawn('a1', ['stdbuf', '-oL', ...speaker.client(portOf.get(speaker.name)!)])
    for (let i = 0; i < 3; i++) {
      program.write(`${speaker.line(i)}\n`)
      await until(`answer ${i} of ${speaker.name}`, () => speaker.answers(program.stdout) > i, {
        describe: () => program.stdout + program.stderr,
      })
    }
    program.endInput()
    await program.ended
  }

  async function answerTo(program: LabProcess, line: string): Promise<string> {
    const before = program.stdout.length
    program.write(`${line}\n`)
    await until(`an answer to ${line}`, () => program.stdout.endsWith('\n') && program.stdout.length > before)
    return program.stdout.slice(before)
  }

  function expectNoSecret(where: string, text: string): void {
    for (const each of secrets) {
      const at = text.indexOf(each)
      expect(at < 0 ? '' : `${where}: ${text.slice(Math.max(0, at - 80), at + 80)}`).toBe('')
    }
  }

  it('are in no answer and in nothing that is kept', { timeout: 90_000 }, async () => {
    const product = await Product.start(lab, { args: ['--data-dir', dataDir] })
    try {
      await talk()
      const told = () =>
        product.get<{ readonly operations: readonly OperationView[] }>(
          `/operations?groupBy=container&from=${product.startedMs}&limit=5000`,
        )
      await vi.waitFor(
        async () => {
          const names = (await told()).operations.map(({ operation }) => operation)
          for (const each of operations)
            expect(
              names.some(name => name.startsWith(each)),
              each,
            ).toBe(true)
        },
        { timeout: 20_000, interval: 200 },
      )
      const paths = [
        '/topology?include=detail',
        '/edges?limit=5000',
        '/operations?limit=5000',
        '/flows?limit=5000',
      ]
      for (const path of [...paths, '/status', '/metrics'])
        expectNoSecret(path, await (await fetch(`${product.url}${path}`)).text())
    } finally {
      expect(await product.stop(), product.output).toBe(0)
    }
    expectNoSecret('what it printed', product.output)
    const files = (await readdir(dataDir, { recursive: true, withFileTypes: true })).filter(file =>
      file.isFile(),
    )
    const kept = await Promise.all(files.map(file => readFile(join(file.parentPath, file.name), 'latin1')))
    expect(kept.join('')).toContain('PUBLISH plant/{id}/heat')
    for (const [i, text] of kept.entries()) expectNoSecret(files[i]!.name, text)
  })

  it('are in nothing that leaves the node', { timeout: 90_000 }, async () => {
    const batches: string[] = []
    const bus = {
      publish({ data }: { readonly data: Uint8Array }) {
        batches.push(Buffer.from(data).toString('latin1'))
        return Promise.resolve()
      },
    }
    const cgroup = await lab.nodeCgroup('a')
    const config = testConfig({ node: 'a', cluster: 'lab', cgroup, flush: 200, partitions: 1 })
    const collector = await startCollector({ config, bus, log: silentLog })
    try {
      await talk()
    } finally {
      await collector.close()
    }
    for (const each of operations) expect(batches.join(''), each).toContain(each)
    for (const batch of batches) expectNoSecret('a batch', batch)
  })
})
