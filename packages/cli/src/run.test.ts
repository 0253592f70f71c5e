import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { run } from './run.ts'

function capture(env: Record<string, string> = {}) {
  const text = { out: '', err: '' }
  const around = {
    env,
    stdout: { write: (part: string) => (text.out += part) },
    stderr: { write: (part: string) => (text.err += part) },
  }
  return { text, around }
}

async function outcome(args: string[], env?: Record<string, string>) {
  const { text, around } = capture(env)
  const code = await run(args, around)
  return { code, ...text }
}

const main = fileURLToPath(new URL('main.ts', import.meta.url))

/** How root becomes nobody: by a user namespace, which leaves the files readable; where there is none, by its id. */
function asNobody(): string[] {
  if (process.geteuid?.() !== 0) return []
  const namespace = ['unshare', '--user', '--']
  if (spawnSync('unshare', ['--user', '--', 'true']).status === 0) return namespace
  return [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    '--bounding-set=-all',
    '--inh-caps=-all',
  ]
}

/** Runs the real program in a process of its own. */
function program(args: string[], before: string[] = []): Promise<{ code: number; err: string }> {
  const [file, ...rest] = [...before, process.execPath, '--conditions=source', main, ...args]
  return new Promise(resolve => {
    execFile(file!, rest, { env: { ...process.env, HOME: '/nonexistent' } }, (error, _, err) => {
      resolve({ code: Number(error?.code ?? 0), err })
    })
  })
}

describe('run', () => {
  it('prints help and version without touching the machine', async () => {
    const help = await outcome(['standalone', '--help'])
    expect(help.code).toBe(0)
    for (const flag of ['--listen', '--flush', '--data-dir', '--node', '--demo', '--print-config']) {
      expect(help.out).toContain(flag)
    }
    expect((await outcome(['--version'])).out).toMatch(/^skybraid \d+\.\d+\.\d+\n$/)
  })

  it('tells the options of the collector, and those of the bus with them', async () => {
    const help = await outcome(['collector', '--help'])
    expect(help.code).toBe(0)
    for (const flag of ['--nats URL', '--nats-creds-file', '--spool-dir', '--compress', '--status-listen'])
      expect(help.out).toContain(flag)
    expect(help.out).not.toContain('--demo')
    const { out } = await outcome(['collector', '--print-config', '--node', 'worker-a'], {
      SKYBRAID_NATS: 'nats://a:4222,nats://b:4222',
    })
    expect(out).toMatch(/^node +worker-a +flag$/m)
    expect(out).toMatch(/^nats +nats:\/\/a:4222,nats:\/\/b:4222 +environment SKYBRAID_NATS$/m)
    expect(out).toMatch(/^status-listen +127\.0\.0\.1:7101 +default$/m)
    expect(out).toMatch(/^spool +16MiB +default$/m)
  })

  it('shows where each option came from', async () => {
    const { out } = await outcome(['--print-config', '--flush', '200ms'], {
      SKYBRAID_LISTEN: '127.0.0.1:7300',
    })
    expect(out).toMatch(/^flush +200ms +flag$/m)
    expect(out).toMatch(/^listen +127\.0\.0\.1:7300 +environment SKYBRAID_LISTEN$/m)
    expect(out).toMatch(/^demo +false +default$/m)
  })

  it('takes options from a YAML file, under flags and environment', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'skybraid-config-'))
    try {
      const path = join(directory, 'skybraid.yaml')
      writeFileSync(path, '# a node\nflush: 200ms\nmax-flows: 1000\nlisten: 127.0.0.1:7301\n')
      const { out } = await outcome(['--print-config', '--config', path, '--flush', '100ms'], {
        SKYBRAID_LISTEN: '127.0.0.1:7300',
        SKYBRAID_PORT: 'tcp://10.0.0.1:80',
      })
      expect(out).toMatch(/^flush +100ms +flag$/m)
      expect(out).toMatch(/^max-flows +1000 +file$/m)
      expect(out).toMatch(/^listen +127\.0\.0\.1:7300 +environment SKYBRAID_LISTEN$/m)
      writeFileSync(path, 'flsh: 200ms\n')
      expect(await outcome(['--config', path])).toMatchObject({
        code: 2,
        err: expect.stringContaining('the nearest is "flush"'),
      })
      writeFileSync(path, 'flush: [\n')
      const { code, err } = await outcome(['--config', path])
      expect({ code, lines: err.trim().split('\n').length }).toEqual({ code: 2, lines: 1 })
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  const wrong: [string, string[], RegExp][] = [
    ['an unknown flag', ['--listn', '127.0.0.1:1'], /nearest is --listen/],
    ['an unknown command', ['standalon'], /nearest is standalone/],
    ['a malformed node', ['--node', 'a'], /NAME=CGROUPDIR/],
    ['nodes that overlap', ['--node', 'a=/x', '--node', 'b=/x/y'], /overlap/],
    ['a malformed duration', ['--flush', 'fast'], /--flush/],
    ['a collector without a bus', ['collector'], /--nats nats:\/\/HOST:PORT/],
    [
      'a node that fits into no subject',
      ['collector', '--nats', 'nats://a', '--node', 'a b'],
      /node name "a b" may hold/,
    ],
    [
      'two ways to log in',
      ['collector', '--nats', 'nats://a', '--nats-token-file', 'x', '--nats-nkey-file', 'y'],
      /--nats-token-file and --nats-nkey-file exclude each other/,
    ],
    ['an unknown way to compress', ['collector', '--compress', 'gzip'], /--compress/],
    ['nodes beside the demo', ['--demo', '--node', 'a=/x'], /--demo/],
  ]
  it.each(wrong)('refuses %s with a sentence and exit code 2', async (_, args, sentence) => {
    const { code, out, err } = await outcome(args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(sentence)
    expect(err).not.toMatch(/^\s+at /m)
  })
})

describe('preflight of the real program', () => {
  it('says to somebody who is not root what to do, and ends with 3', async () => {
    const { code, err } = await program(['standalone', '--listen', '127.0.0.1:0'], asNobody())
    expect(code).toBe(3)
    expect(err).toMatch(/^skybraid: Reading the kernel's sockets is not permitted: .*sudo npm start\.$/m)
    expect(err).not.toMatch(/^\s+at /m)
  }, 20_000)

  it('says that the port is taken, names another one, and ends with 3', async () => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const { code, err } = await program(['standalone', '--listen', `127.0.0.1:${port}`])
    await new Promise(resolve => server.close(resolve))
    expect(code).toBe(3)
    expect(err).toContain(`Another program listens on 127.0.0.1:${port}`)
    expect(err).toContain(`--listen 127.0.0.1:${port + 1}`)
    expect(err).not.toMatch(/^\s+at /m)
  }, 20_000)
})
