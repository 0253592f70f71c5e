import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Capture } from '../../packages/collector/src/source/open-capture.ts'
import { between } from './between.ts'
import { type DecodedSaid, decodeFlushes, roleOf } from './decode.ts'
import { LineClient } from './line-client.ts'
import { canCapture, client, has, nothingLost, observe, server, until } from './observed-capture.ts'
import { ObservedGroup } from './observed-group.ts'
import { OwnNamespace } from './own-namespace.ts'
import { type Speaker, speakers } from './speakers.ts'

const here = speakers.filter(speaker => speaker.isHere)
const byName = new Map(here.map((speaker, i) => [speaker, i]))
const serverPort = (speaker: Speaker): number => 7001 + byName.get(speaker)!
const allProtocols = here.reduce((bits, { protocol }) => bits | (1 << protocol), 0)

/** What programs of every protocol say at once, where the network, the collector or others make it hard to follow. */
describe.skipIf(!canCapture || !has('nft') || !has('ip'))('all protocols at once', () => {
  let folder: string
  let network: OwnNamespace
  let group: ObservedGroup
  let tell: (command: string) => Promise<unknown>
  let flushes: ArrayBuffer[]
  let capture: Capture | undefined
  let clients: LineClient[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sb-conditions-'))
    // servers of databases run as users of their own
    chmodSync(folder, 0o755)
    network = new OwnNamespace()
    group = new ObservedGroup(network.name)
    tell = group.run(between)
    for (const speaker of here) {
      const own = join(folder, speaker.name)
      mkdirSync(own)
      const [program, ...args] = speaker.server(own, serverPort(speaker))
      group.spawn(program!, ...args)
    }
    for (const speaker of here) {
      await until(`the server of ${speaker.name}`, () => network.listens(serverPort(speaker)), 60_000)
      await speaker.prepare?.(group, serverPort(speaker))
    }
  })
  afterEach(async () => {
    capture?.close()
    capture = undefined
    for (const each of clients) await each.end()
    clients = []
  })
  afterAll(async () => {
    await group?.remove()
    network?.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  function start(): Capture {
    flushes = []
    capture = observe(group, flushes, { l7: allProtocols, partitions: 1, flushMs: 500 })
    return capture
  }
  function end(): DecodedSaid[] {
    capture!.close()
    capture = undefined
    return decodeFlushes(flushes).flatMap(frame => frame.said)
  }
  /** Clients of all, or of some, at ports by protocol: each asks when it has its answer. */
  function dial(portOf: (speaker: Speaker) => number, which = here) {
    const all = which.map(speaker => ({
      speaker,
      asks: new LineClient(group, speaker.client(portOf(speaker))),
    }))
    clients = all.map(({ asks }) => asks)
    return {
      ask: (from: number, to: number) =>
        Promise.all(
          all.map(async ({ speaker, asks }) => {
            for (let i = from; i < to; i++) await asks.ask(speaker.line(i), speaker.answers, i + 1)
          }),
        ),
      async end() {
        await Promise.all(clients.map(each => each.end()))
        clients = []
      },
    }
  }
  /** What one end saw at a port, without what clients ask besides. */
  function saidAt(said: readonly DecodedSaid[], role: number, port: number): Record<string, number> {
    const sums: Record<string, number> = {}
    for (const { record, operation, host, status, count } of said) {
      const ports = record.at('ports')
      if (roleOf(record) !== role || (role === client ? ports & 0xffff : ports >>> 16) !== port) continue
      const key = `${operation}${host && ` ${host}`} ${status}`
      sums[key] = (sums[key] ?? 0) + count
    }
    return sums
  }
  const only = (sums: Readonly<Record<string, number>>, { besides }: Speaker): Record<string, number> =>
    Object.fromEntries(Object.entries(sums).filter(([key]) => besides.source === '^$' || !besides.test(key)))

  function expectExactly(
    said: readonly DecodedSaid[],
    portOf: (speaker: Speaker) => number,
    lines: number,
  ): void {
    for (const speaker of here)
      for (const role of [client, server])
        expect({
          [`${speaker.name} at ${role}`]: only(saidAt(said, role, portOf(speaker)), speaker),
        }).toEqual({
          [`${speaker.name} at ${role}`]: { [speaker.said]: lines },
        })
  }

  function expectNoSecret(): void {
    expect(flushes.filter(flush => Buffer.from(flush).includes('sekrit'))).toEqual([])
  }

  it('where one packet in a hundred is lost', async () => {
    const observed = start()
    network.loseOneIn(100)
    const talk = dial(serverPort)
    await talk.ask(0, 60)
    await talk.end()
    expect(network.loseNone()).toBeGreaterThan(10)
    const said = end()
    expect(observed.counters().l7).toMatchObject(nothingLost)
    expectExactly(said, serverPort, 60)
    expectNoSecret()
  })

  it('byte by byte', async () => {
    const front = (speaker: Speaker): number => serverPort(speaker) + 1000
    for (const speaker of here) await tell(`bytes ${front(speaker)} ${serverPort(speaker)}`)
    const observed = start()
    const talk = dial(front)
    await talk.ask(0, 6)
    await talk.end()
    const said = end()
    expect(observed.counters().l7).toMatchObject(nothingLost)
    expectExactly(said, front, 6)
    expectNoSecret()
    expectExactly(said, serverPort, 6)
  })

  it('from the middle of the connections on', async () => {
    const talk = dial(serverPort)
    await talk.ask(0, 5)
    start()
    await talk.ask(5, 25)
    await talk.end()
    const said = end()
    expectNoSecret()
    for (const speaker of here)
      for (const role of [client, server])
        expect({ [speaker.name]: only(saidAt(said, role, serverPort(speaker)), speaker) }).toEqual({
          [speaker.name]: speaker.joins ? { [speaker.joined ?? speaker.said]: 20 } : {},
        })
  })

  it('all at one port', async () => {
    const one = 9000
    const targets = Object.fromEntries(here.map(speaker => [speaker.name, serverPort(speaker)]))
    await tell(`mux ${one} ${JSON.stringify(targets)}`)
    const observed = start()
    const talk = dial(() => one)
    await talk.ask(0, 20)
    await talk.end()
    const said = end()
    expect(observed.counters().l7).toMatchObject(nothingLost)
    expectExactly(said, serverPort, 20)
    for (const role of [client, server]) {
      const seen = saidAt(said, role, one)
      for (const { said: what } of here) {
        const asking = here.filter(each => each.said === what).length
        expect({ [what]: seen[what] }).toEqual({ [what]: 20 * asking })
      }
    }
  })

  it('while another program says what is shaped like each of them', async () => {
    const recorder = (speaker: Speaker): number => serverPort(speaker) + 3000
    const noise = (speaker: Speaker): number => serverPort(speaker) + 4000
    for (const speaker of here) await tell(`record ${recorder(speaker)} ${serverPort(speaker)}`)
    const before = dial(recorder)
    await before.ask(0, 4)
    await before.end()
    const observed = start()
    const talk = dial(serverPort)
    const talking = talk.ask(0, 30)
    for (const speaker of here) {
      const recorded = await tell(`said ${recorder(speaker)}`)
      await tell(`garbage ${noise(speaker)} 40 ${JSON.stringify(recorded)}`)
    }
    await talking
    await talk.end()
    const said = end()
    expectExactly(said, serverPort, 30)
    expect(observed.counters().l7.ringFull).toBe(0)
    for (const { operation, host } of said) {
      expect(operation).toMatch(/^[ -~]{1,256}$/)
      expect(host).toMatch(/^[ -~]{0,64}$/)
    }
    // What is left of a conversation of four lines, and of its begin, is not more than was said.
    for (const speaker of here)
      for (const role of [client, server]) {
        const counts = Object.values(saidAt(said, role, noise(speaker)))
        expect(counts.reduce((a, b) => a + b, 0)).toBeLessThan(40 * 16)
      }
  })
})
