import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { OperationView, SaidView } from '../../packages/aggregator/src/topology/answer.ts'
import { startCollector } from '../../packages/collector/src/collector.ts'
import { testConfig } from '../../packages/collector/src/config.testing.ts'
import { Lab } from '../lab/lab.ts'
import { type Nginx, startNginx } from '../lab/nginx.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { Product } from './product.ts'

const missing = whyNoLab()
const silentLog = { info() {}, warn() {}, error() {} }
function expectNoSecret(texts: readonly string[]): void {
  for (const secret of [...Object.values(secrets), 'alice'])
    expect(
      texts.some(text => text.includes(secret)),
      secret,
    ).toBe(false)
}

/** Planted in what must never leave the node: header values, queries, bodies. */
const secrets = {
  header: 'sekrit-header-4711',
  cookie: 'sekrit-cookie-4712',
  password: 'sekrit-password-4713',
  query: 'sekrit-query-4714',
  body: 'sekrit-body-4715',
  key: 'sekrit-key-4716',
  value: 'sekrit-value-4717',
} as const

interface Operations {
  readonly operations: readonly OperationView[]
}

describe.skipIf(missing !== '')(`what is said over HTTP ${missing}`, () => {
  let lab: Lab
  let product: Product
  let nginx: Nginx
  let dataDir: string
  const port = 8101

  beforeAll(async () => {
    await Lab.removeStale()
    lab = await Lab.up({ nodes: 2, pods: 1 })
    dataDir = await mkdtemp(join(tmpdir(), 'skybraid-said-'))
    product = await Product.start(lab, { args: ['--data-dir', dataDir] })
    nginx = await startNginx(lab, 'b1', { port, server: 'location /shop { return 503; }' })
  })

  afterAll(async () => {
    await product?.stop()
    await lab?.down()
    await rm(dataDir, { recursive: true, force: true })
  })

  const operations = () =>
    product.get<Operations>(`/operations?groupBy=container&from=${product.startedMs}&limit=5000`)

  /** Requests by status, of all operations, as one end has them. */
  async function byStatus(end: 'client' | 'server'): Promise<Record<string, number>> {
    const sums: Record<string, number> = {}
    for (const operation of (await operations()).operations) {
      const view: SaidView | undefined = operation[end]
      for (const [status, count] of Object.entries(view?.statuses ?? {}))
        sums[status] = (sums[status] ?? 0) + count
    }
    return sums
  }

  async function ask(times: number, path: string, options: readonly string[] = []): Promise<void> {
    const url = `http://${lab.addresses('b1').v4}:${port}${path}`
    const targets = Array.from({ length: times }, () => ['-o', '/dev/null', url]).flat()
    await lab.exec('a1', ['curl', '-s', ...options, ...targets])
  }

  it('is counted by status at both ends as the server’s own log has it', { timeout: 60_000 }, async () => {
    for (let connection = 0; connection < 5; connection++) await ask(40, '/1k')
    await ask(30, '/users/12345', ['-H', `Host: Shop.Example:${port}`])
    await ask(20, `/shop?token=${secrets.query}`, [
      ...['-H', `Authorization: Bearer ${secrets.header}`, '-b', `session=${secrets.cookie}`],
      ...['-u', `alice:${secrets.password}`, '-d', `card=${secrets.body}`],
    ])
    const requests = await nginx.requests()
    expect(requests).toHaveLength(250)
    const truth = Object.fromEntries(
      Object.entries(Object.groupBy(requests, ({ status }) => status)).map(([status, some]) => [
        status,
        some!.length,
      ]),
    )
    for (const end of ['client', 'server'] as const)
      await vi.waitFor(async () => expect(await byStatus(end)).toEqual(truth), {
        timeout: 15_000,
        interval: 200,
      })
    const names = (await operations()).operations.map(({ operation, host }) => `${operation} of ${host}`)
    // an address is no host
    expect(names.sort()).toEqual([
      'GET /users/{id} of shop.example',
      'GET /{id} of undefined',
      'POST /shop of undefined',
    ])
  })

  it('takes the network’s time between its ends, which is what differs between the views', async () => {
    const { operations: all } = await operations()
    const { client, server, networkUs } = all.find(({ operation }) => operation === 'GET /{id}')!
    expect(client?.firstByteUs?.count).toBe(200)
    expect(server?.firstByteUs?.count).toBe(200)
    const difference = client!.meanFirstByteUs! - server!.meanFirstByteUs!
    expect(Math.abs(networkUs! - difference)).toBeLessThanOrEqual(1)
    expect(networkUs).toBeGreaterThanOrEqual(0)
  })

  it('shows no header value, query, body, name or password, neither in answers nor in what is kept', async () => {
    const answers = await Promise.all(
      ['/topology?include=detail', '/edges', '/operations', '/flows', '/status', '/metrics'].map(async path =>
        (await fetch(`${product.url}${path}`)).text(),
      ),
    )
    expect(await product.stop(), product.output).toBe(0)
    const files = await readdir(dataDir, { recursive: true, withFileTypes: true })
    const kept = await Promise.all(
      files.filter(file => file.isFile()).map(file => readFile(join(file.parentPath, file.name), 'latin1')),
    )
    expect(kept.join('')).toContain('GET /users/{id}')
    expectNoSecret([...answers, ...kept, product.output])
  })

  it('leaves its node without them', async () => {
    const batches: Uint8Array[] = []
    const bus = {
      publish({ data }: { readonly data: Uint8Array }) {
        batches.push(data.slice())
        return Promise.resolve()
      },
    }
    const collectors = await Promise.all(
      ['a', 'b'].map(async node => {
        const cgroup = await lab.nodeCgroup(node)
        const config = testConfig({ node, cluster: 'lab', cgroup, flush: 200, partitions: 1 })
        return startCollector({ config, bus, log: silentLog })
      }),
    )
    try {
      const options = ['--port', '8102', '--save', '', '--protected-mode', 'no']
      const redis = await lab.spawn('b1', ['redis-server', ...options])
      await lab.listening(redis, 8102)
      const redisCli = ['redis-cli', '-h', lab.addresses('b1').v4, '-p', '8102']
      await lab.exec('a1', [...redisCli, 'SET', secrets.key, secrets.value])
      await lab.exec('a1', [...redisCli, 'GET', secrets.key])
      const header = ['-H', `x-token: ${secrets.header}`]
      await ask(3, `/shop?token=${secrets.query}`, [...header, '-d', secrets.body])
      await redis.stop()
    } finally {
      for (const collector of collectors) await collector.close()
    }
    const wire = batches.map(batch => Buffer.from(batch).toString('latin1'))
    for (const operation of ['SET', 'GET', 'POST /shop']) expect(wire.join('')).toContain(operation)
    expectNoSecret(wire)
  })
})
