import { appendFileSync, chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DecodedSaid, decodeFlushes } from '../../native/test/decode.ts'
import { speakers } from '../../native/test/speakers.ts'
import { type Capture, openCapture } from '../../packages/collector/src/source/open-capture.ts'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import { Lab } from '../lab/lab.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { startCapture } from '../lab/truth/capture.ts'
import { type CapturedExchange, readExchanges } from '../lab/truth/exchanges.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { slowServers, waitingClient } from './slow-programs.ts'

const database = speakers.find(({ name }) => name === 'postgres')!
const missing = whyNoLab() || (database.isHere ? '' : '(skipped: no PostgreSQL)')
const [webPort, redisPort, postgresPort] = [8201, 8202, 8203]
const ports = [53, webPort, redisPort, postgresPort]
const [delayMs, times, quickTimes] = [40, 20, 60]

/** A program that has to wait for a processor is late by its own clock alone. */
const first = ['nice', '-n', '-20']

/** What was asked, by the operation that is told of it, and whether its server waits. */
const asked = [
  { operation: 'GET /quick', serverPort: webPort, slow: false },
  { operation: 'PING', serverPort: redisPort, slow: false },
  { operation: 'GET /slow', serverPort: webPort, slow: true },
  { operation: 'DEBUG', serverPort: redisPort, slow: true },
  { operation: 'SELECT', serverPort: postgresPort, slow: true },
  { operation: 'A slow.example', serverPort: 53, slow: true },
] as const

/** Times in µs by operation and the client's port. */
type Times = ReadonlyMap<string, ReadonlyMap<number, number>>
interface Round {
  readonly told: Readonly<Record<'client' | 'server', Times>>
  readonly packets: Readonly<Record<'client' | 'server', readonly CapturedExchange[]>>
  readonly programs: Readonly<Record<'client' | 'server', readonly CapturedExchange[]>>
}

describe.skipIf(missing !== '')(`the time of an answer ${missing}`, () => {
  let lab: Lab
  let servers: LabProcess

  beforeAll(async () => {
    await Lab.removeStale()
    lab = await Lab.up({ nodes: 2, pods: 1 })
    const { v4 } = lab.addresses('b1')
    const folder = join(lab.directory, 'postgres')
    mkdirSync(folder, { recursive: true })
    chmodSync(lab.directory, 0o755)
    const argv = [...database.server(folder, postgresPort), '-c', 'listen_addresses=*']
    appendFileSync(join(folder, 'data', 'pg_hba.conf'), 'host all all all trust\n')
    servers = await lab.spawn('b1', [
      ...first,
      process.execPath,
      '-e',
      slowServers,
      v4,
      `${webPort}`,
      `${delayMs}`,
    ])
    const redis = ['redis-server', '--port', `${redisPort}`, '--save', '', '--protected-mode', 'no']
    await lab.listening(await lab.spawn('b1', [...redis, '--enable-debug-command', 'yes']), redisPort)
    await lab.listening(await lab.spawn('b1', argv), postgresPort)
    await lab.listening(servers, webPort)
    await lab.listening(servers, 53, 'udp')
  })

  afterAll(() => lab?.down())

  async function capture(node: string, flushes: ArrayBuffer[]): Promise<Capture> {
    return openCapture({
      cgroupPath: await lab.nodeCgroup(node),
      flushMs: 500,
      partitions: 1,
      ringBytes: 1 << 20,
      maxFlows: 10_000,
      udp: true,
      l7: [L7Protocol.http1, L7Protocol.redis, L7Protocol.postgres, L7Protocol.dns].reduce(
        (bits, protocol) => bits | (1 << protocol),
        0,
      ),
      taskFiles: false,
      reportMs: 200,
      announceMs: 300_000,
      onFlush: flush => flushes.push(flush),
    })
  }

  async function serversTimes(): Promise<CapturedExchange[]> {
    const before = servers.stdout.length
    servers.write('\n')
    await until('the times of the servers', () => servers.stdout.slice(before).endsWith('\n'))
    return JSON.parse(servers.stdout.slice(before))
  }

  async function round(): Promise<Round> {
    const flushes: Record<'client' | 'server', ArrayBuffer[]> = { client: [], server: [] }
    const wires = await Promise.all(['a1', 'b1'].map(pod => startCapture(lab, pod, 'eth0')))
    const captures = [await capture('a', flushes.client), await capture('b', flushes.server)]
    try {
      const { v4: address } = lab.addresses('b1')
      const options = { address, times, quickTimes, webPort, redisPort, postgresPort, delayMs }
      const argv = [...first, process.execPath, '-e', waitingClient, JSON.stringify(options)]
      const { stdout } = await lab.exec('a1', argv)
      const programs = { client: JSON.parse(stdout), server: await serversTimes() }
      for (const each of captures) each.close()
      for (const wire of wires) await wire.stop()
      const [client, server] = await Promise.all(wires.map(({ file }) => readExchanges(file, ports)))
      return {
        programs,
        packets: { client: client!, server: server! },
        told: {
          client: timesOf(flushes.client, record => record >>> 16),
          server: timesOf(flushes.server, record => record & 0xffff),
        },
      }
    } finally {
      for (const each of captures) each.close()
    }
  }

  it('is what packets and the programs say, at both ends', { timeout: 100_000 }, async () => {
    let apart: Record<string, string> = {}
    for (let i = 0; i < 3; i++) {
      const seen = await round()
      expectWithin(seen)
      const now = mediansApart(seen)
      // on a machine that others use it may take more than one look
      apart = i === 0 ? now : Object.fromEntries(Object.entries(now).filter(([what]) => what in apart))
      if (Object.keys(apart).length === 0) break
    }
    expect(apart).toEqual({})
  })
})

function timesOf(flushes: readonly ArrayBuffer[], clientPort: (ports: number) => number): Times {
  const times = new Map<string, Map<number, number>>()
  const all: DecodedSaid[] = decodeFlushes(flushes).flatMap(frame => frame.said)
  for (const { record, operation, count, firstByteSumUs } of all) {
    if (!asked.some(each => each.operation === operation)) continue
    expect(count).toBe(1)
    const of = times.get(operation) ?? new Map<number, number>()
    times.set(operation, of.set(clientPort(record.at('ports')), firstByteSumUs))
  }
  return times
}

/** Of each exchange: the server's own time ≤ as its end sees it ≤ as the client's end sees it ≤ the client's own. */
function expectWithin({ told, programs }: Round): void {
  for (const { operation, serverPort, slow } of asked) {
    const [client, server] = [told.client.get(operation), told.server.get(operation)]
    expect(client?.size, operation).toBe(slow ? times : quickTimes)
    expect(server?.size, operation).toBe(slow ? times : quickTimes)
    const own = (end: 'client' | 'server') =>
      new Map(
        programs[end].filter(each => each.serverPort === serverPort).map(each => [each.clientPort, each.us]),
      )
    const [clients, servers] = [own('client'), own('server')]
    for (const [port, us] of client!) {
      const served = servers.get(port) ?? (slow ? delayMs * 1000 : 0)
      const at = server!.get(port)!
      const steps = [served, at, us, clients.get(port)!]
      // times are told in whole µs
      for (let i = 1; i < steps.length; i++)
        expect(steps[i]! - steps[i - 1]!, `${operation}: ${steps.join(', ')} µs`).toBeGreaterThanOrEqual(-1)
    }
  }
}

/** Medians that are further apart than 5 % or 20 µs, in words. */
function mediansApart({ told, packets, programs }: Round): Record<string, string> {
  const apart: Record<string, string> = {}
  for (const { operation, slow } of asked)
    for (const end of ['client', 'server'] as const) {
      const mine = told[end].get(operation)!
      const truths = { packets: packets[end], ...(slow && { 'the program’s clock': programs[end] }) }
      for (const [name, all] of Object.entries(truths)) {
        const truth = median(all.filter(({ clientPort }) => mine.has(clientPort)).map(({ us }) => us))
        const seen = median([...mine.values()])
        if (Number.isNaN(truth) && name !== 'packets') continue // the server has no clock of its own to ask
        if (!(Math.abs(seen - truth) <= Math.max(20, truth * 0.05)))
          apart[`${operation} at the ${end}, by ${name}`] = `${seen} µs is ${truth} µs`
      }
    }
  return apart
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
