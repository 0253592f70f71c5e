import { createServer } from 'node:net'
import { performance } from 'node:perf_hooks'
import { describe, expect, it } from 'vitest'
import type { NatsLink } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { freePort } from './free-port.ts'
import type { NatsServer } from './nats-server.ts'
import { recordedLog } from './recorded-log.ts'

async function listener(answer: string): Promise<number> {
  const port = await freePort()
  const server = createServer(socket => socket.on('error', () => {}).write(answer))
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  afterTest(() => server.close())
  return port
}

const once = (port: number) => linkWith(['--nats', `nats://127.0.0.1:${port}`], { once: true })

describe('a bus that cannot be used', () => {
  it('is named with the reason: nobody there', async () => {
    const port = await freePort()
    await expect(once(port)).rejects.toMatchObject({
      code: 'SB_BUS_UNREACHABLE',
      message: `The bus nats://127.0.0.1:${port} cannot be used: nobody listens there (connection refused).`,
    })
    await expect(linkWith(['--nats', 'nats://no-such-host.invalid'], { once: true })).rejects.toThrow(
      'its name is not known here',
    )
  })

  it('is named with the reason: something else answers, or nothing', async () => {
    await expect(once(await listener('220 mail\r\n'))).rejects.toThrow('cannot be used: ')
    await expect(once(await listener(''))).rejects.toThrow('cannot be used: it does not answer.')
  })

  it('is refused without JetStream, in a sentence that says how to turn it on', async () => {
    const server = await serverForTest({ jetstream: false })
    await expect(once(server.port)).rejects.toMatchObject({
      code: 'SB_BUS_JETSTREAM',
      message: `The NATS server 127.0.0.1:${server.port} has JetStream turned off, and skybraid needs it: start it with -js, or add "jetstream {}" to its configuration.`,
    })
  })

  it('is dialled at once, again and again, by who is about to end', async () => {
    const server = await serverForTest()
    const hurry = new AbortController()
    // its turn would come after an hour
    const link = await linkForTest(
      linkWith(['--nats', server.url], { hurry: hurry.signal, random: () => 1, spreadMs: 3_600_000 }),
    )
    await server.kill()
    await until('it is noticed', () => !link.state().connected)
    hurry.abort()
    await server.restart()
    await until('it is back', () => link.state().connected)
  })

  it('is waited for, and the wait can be ended', async () => {
    const server = await serverForTest()
    await server.kill()
    const [log, giveUp] = [recordedLog(), new AbortController()]
    const waiting = linkWith(['--nats', server.url], { log, signal: giveUp.signal })
    await until('it is told', () => log.text().includes('nobody listens there'))
    giveUp.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'SB_BUS_CLOSED' })
    const second = linkForTest(linkWith(['--nats', server.url]))
    await server.restart()
    expect((await second).state()).toMatchObject({ connected: true, disconnects: 0 })
  })
})

describe('a bus that goes away', () => {
  it('is found again, however often its server is killed', async () => {
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url], { spreadMs: 200 }))
    const seen: boolean[] = []
    link.onState(state => seen.push(state.connected))
    for (let round = 1; round <= 3; round++) {
      await server.kill()
      await until('it is noticed', () => !link.state().connected)
      await server.restart()
      await until('it is back', () => link.state().connected)
      expect(link.state()).toMatchObject({ disconnects: round, server: `127.0.0.1:${server.port}` })
    }
    expect(seen).toEqual([false, true, false, true, false, true])
    await link.jsm.getAccountInfo()
  })

  it('can be closed meanwhile: at once, and nothing stays connected', async () => {
    const server = await serverForTest()
    const link = await linkWith(['--nats', server.url], { spreadMs: 3_600_000, random: () => 0.9 })
    await server.kill()
    await until('it is noticed', () => !link.state().connected)
    await server.restart()
    await link.close()
    await link.close()
    await until('no client is left', async () => (await connections(server)) === 0)
  })

  it('is noticed within 30 s if it only falls silent, between messages or in the middle of many', async () => {
    await Promise.all([fallSilent(0), fallSilent(64)])
  })

  it('is not rushed by its clients when it comes back', async () => {
    const [clients, spreadMs] = [60, 12_000]
    const server = await serverForTest()
    const args = ['--nats', server.url]
    const links = await Promise.all(
      Array.from({ length: clients }, () => linkForTest(linkWith(args, { spreadMs }))),
    )
    await server.kill()
    await until('all notice it', () => links.every(link => !link.state().connected))
    await server.restart()
    const times = await Promise.all(links.map(reconnected))
    const begun = Math.min(...times)
    const second = (time: number) => Math.floor((time - begun) / 1000)
    const perSecond = Object.values(Object.groupBy(times, second)).map(each => each!.length)
    // 5 a second on average; the rest is for a process that does not run for a while
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(30)
  })
})

/** Pauses a server, publishes so many megabytes, and expects the silence to be noticed. */
async function fallSilent(megabytes: number): Promise<void> {
  const server = await serverForTest()
  const link = await linkForTest(linkWith(['--nats', server.url], { spreadMs: 200 }))
  server.pause()
  const [begun, lateness] = [performance.now(), timersLateness()]
  for (let i = 0; i < megabytes; i++) link.connection.publish('some.subject', new Uint8Array(1_000_000))
  await until('the silence is noticed', () => !link.state().connected, { timeoutMs: 120_000 })
  expect(performance.now() - begun - lateness()).toBeLessThan(30_000)
  server.resume()
  await until('it is back', () => link.state().connected)
}

/** Answers, and ends, how late timers of this process were altogether: no client can notice anything meanwhile. */
function timersLateness(): () => number {
  const everyMs = 50
  let [last, lateMs] = [performance.now(), 0]
  const timer = setInterval(() => {
    const now = performance.now()
    lateMs += Math.max(0, now - last - everyMs)
    last = now
  }, everyMs)
  return () => {
    clearInterval(timer)
    return lateMs
  }
}

function reconnected(link: NatsLink): Promise<number> {
  return new Promise(resolve => {
    if (link.state().connected) return resolve(performance.now())
    link.onState(state => state.connected && resolve(performance.now()))
  })
}

async function connections(server: NatsServer): Promise<number> {
  const { num_connections: count } = await server.monitor<{ num_connections: number }>('connz')
  return count
}
