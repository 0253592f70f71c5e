import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../lab/until.ts'
import { NatsServer } from './nats-server.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(...options: Parameters<typeof NatsServer.start>): Promise<NatsServer> {
  const server = await NatsServer.start(...options)
  cleanups.push(() => server.stop())
  return server
}

async function connection(server: NatsServer) {
  const nc = await connect({ servers: server.url, reconnect: false })
  cleanups.push(() => nc.close())
  return nc
}

const alive = (pid: number) => existsSync(`/proc/${pid}`)

describe('NatsServer', () => {
  it('keeps what JetStream acknowledged when it is killed and started again on the same port', async () => {
    const server = await start()
    const { url, pid } = server
    const before = await connection(server)
    const jsm = await jetstreamManager(before)
    await jsm.streams.add({ name: 'S', subjects: ['s.>'] })
    await jetstream(before).publish('s.1', 'hello')
    await server.kill()
    expect(server.isRunning).toBe(false)
    await server.restart()
    expect(server.url).toBe(url)
    expect(server.pid).not.toBe(pid)
    const after = await connection(server)
    const { state } = await (await jetstreamManager(after)).streams.info('S')
    expect(state.messages).toBe(1)
  })

  it('answers nobody while it is paused', async () => {
    const server = await start()
    const nc = await connection(server)
    await nc.flush()
    server.pause()
    await until('it is stopped', async () => (await statusOf(server.pid!)) === 'T')
    let answered = false
    const flushed = nc.flush().then(() => {
      answered = true
    })
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(answered).toBe(false)
    server.resume()
    await flushed
  })

  it('takes over other settings by a reload', async () => {
    const server = await start({ config: 'authorization { token: one }' })
    await expect(connect({ servers: server.url, token: 'two', reconnect: false })).rejects.toThrow(
      /authorization/i,
    )
    await server.reload('authorization { token: two }')
    const nc = await connect({ servers: server.url, token: 'two', reconnect: false })
    await nc.close()
  })

  it('can have JetStream turned off', async () => {
    const server = await start({ jetstream: false })
    expect((await connection(server)).info?.jetstream).toBeUndefined()
  })

  it('says what the server says when that does not start', async () => {
    await expect(start({ config: 'no such setting {' })).rejects.toThrow(
      /^nats-server is not ready:\n.*Parse error/,
    )
  })

  it('leaves no process and no folder', async () => {
    const server = await start()
    const { pid, folder } = server
    expect(existsSync(folder)).toBe(true)
    await server.stop()
    await server.stop()
    expect(alive(pid!)).toBe(false)
    expect(existsSync(folder)).toBe(false)
  })

  it('dies with the process that started it, even if that is killed', async () => {
    const program = fileURLToPath(new URL('nats-server.ts', import.meta.url))
    const script = `const { NatsServer } = await import(${JSON.stringify(program)})
      const server = await NatsServer.start()
      console.log(server.pid)
      setInterval(() => {}, 1000)`
    const runner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    cleanups.push(async () => runner.kill('SIGKILL'))
    const pid = await new Promise<number>(resolve =>
      runner.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString()))),
    )
    expect(alive(pid)).toBe(true)
    runner.kill('SIGKILL')
    await until('the server is gone', () => !alive(pid))
  })
})

async function statusOf(pid: number): Promise<string | undefined> {
  return /^State:\s+(\w)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
}
