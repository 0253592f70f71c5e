import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkOap } from '../../packages/aggregator/src/export/oap/check-oap.ts'
import { FakeOap } from '../../packages/aggregator/src/export/oap/fake-oap.testing.ts'
import {
  encodeInterval,
  encodeLimits,
  noCounts,
  type OapInterval,
} from '../../packages/aggregator/src/export/oap/interval/access-log.ts'
import type { EndName } from '../../packages/aggregator/src/export/oap/interval/end-name.ts'
import {
  type FramedMessages,
  frameBytes,
} from '../../packages/aggregator/src/export/oap/interval/framed-messages.ts'
import type { HttpRequests } from '../../packages/aggregator/src/export/oap/interval/http-requests.ts'
import { packPairs } from '../../packages/aggregator/src/export/oap/interval/packed-pairs.testing.ts'
import {
  type PodPair,
  pairAmounts,
  type Role,
} from '../../packages/aggregator/src/export/oap/interval/pod-pair.ts'
import { createOapConnection, OapCode } from '../../packages/aggregator/src/export/oap/oap-connection.ts'
import { type OapConfig, oapConfigSchema } from '../../packages/aggregator/src/export/oap/options.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { until } from '../lab/until.ts'
import { eventually } from './eventually.ts'
import { Oap } from './oap.ts'
import { oapObstacle } from './oap-jars.ts'
import { endpointEntity, OapReader, oapEntity } from './oap-reader.ts'

const missing = oapObstacle() ?? ''
const end = (service: string, pod: string): EndName => ({ service, pod, properties: [] })
const web = [end('web.shop', 'web-0'), end('web.shop', 'web-1')] as const
const api = [end('api.shop', 'api-0'), end('api.shop', 'api-1')] as const
const database = end('db.shop', 'db-0')
const cache = end('cache.shop', '')
const grouped = [end('demo::front.ns1', 'front-0'), end('demo::back.ns1', 'back-0')] as const
const long = end(`${'n'.repeat(60)}.namespac`, 'p'.repeat(70))

function pair(
  role: Role,
  local: EndName,
  remote: EndName,
  amounts: Partial<Record<(typeof pairAmounts)[number], number>>,
): PodPair {
  return { role, local, remote, amounts: Float64Array.from(pairAmounts, name => amounts[name] ?? 0) }
}

const both = (
  client: EndName,
  server: EndName,
  opened: number,
  sent: number,
  received: number,
): PodPair[] => [
  pair(0, client, server, {
    opened,
    handshakeUs: opened * 150 + 7,
    closed: opened,
    bytesSent: sent,
    bytesReceived: received,
    packetsSent: sent / 100,
    packetsReceived: received / 100,
    retransmits: 3,
  }),
  pair(1, server, client, {
    opened,
    handshakeUs: opened * 90,
    closed: opened,
    bytesSent: received,
    bytesReceived: sent,
    packetsSent: received / 100,
    packetsReceived: sent / 100,
    retransmits: 2,
  }),
]

function requests(
  role: Role,
  local: EndName,
  remote: EndName,
  method: string,
  path: string,
  status: number,
  latencies: HttpRequests['latencies'],
): HttpRequests {
  return {
    role,
    local,
    remote,
    method,
    path,
    status,
    version: 1,
    latencies,
    requestHeaderBytes: 1_001,
    requestBodyBytes: 20_003,
    responseHeaderBytes: 3_000,
    responseBodyBytes: 40_007,
  }
}

/** Everything that can be sent, over two minutes. */
function intervals(minute: number): OapInterval[] {
  const first = [
    ...both(web[0], api[0], 40, 120_000, 3_000_000),
    ...both(web[1], api[1], 2_600, 1_200, 900),
    ...both(api[0], database, 7, 7e12, 400),
    ...both(grouped[0], grouped[1], 3, 300, 600),
    pair(0, api[1], cache, { failed: 11, packetsSent: 22 }),
    pair(1, api[0], end('external', ''), { opened: 5, bytesReceived: 500, packetsReceived: 5e9 }),
    pair(0, long, end('api.example.org', ''), { bytesSent: 1 }),
  ]
  const http = [
    requests(1, api[0], web[0], 'GET', '/items/{id}', 200, [
      [1_500, 30],
      [80_000, 4],
    ]),
    requests(1, api[0], web[0], 'POST', '/orders', 503, [[2_000_999, 3]]),
    requests(0, web[0], api[0], 'GET', '/items/{id}', 404, [[999, 2]]),
    requests(1, api[1], web[1], 'DELETE', `/${'x'.repeat(200)}`, 301, [[0, 1]]),
    requests(1, api[1], web[1], 'GET', '/stream', 101, [[5_000, 1]]),
    requests(1, api[1], web[1], 'GET', '/missing', 404, [[5_000, 1]]),
    ...[101, 200, 302, 502].map(status => requests(0, web[0], api[0], 'GET', '/all', status, [[4_000, 2]])),
  ]
  return [
    { unixMinute: minute - 1, pairs: packPairs(both(web[0], api[0], 2, 200, 100)), http: [] },
    { unixMinute: minute, pairs: packPairs(first), http },
    // the same minute once more, as the next interval brings it
    { unixMinute: minute, pairs: packPairs(both(web[0], api[0], 5, 700, 800)), http: [http[0]!] },
  ]
}

/** One message, of a field that nobody knows and so long, which `encodeInterval` never makes. */
function messageOf(length: number): FramedMessages {
  const bytes = new Uint8Array(frameBytes + length)
  const view = new DataView(bytes.buffer)
  view.setUint32(1, length)
  const headBytes = 6
  bytes.set([(15 << 3) | 2], frameBytes)
  // its length in five groups of seven bits
  for (let i = 0; i < 5; i++)
    bytes[frameBytes + 1 + i] = (((length - headBytes) >>> (7 * i)) & 127) | (i < 4 ? 128 : 0)
  return { bytes, messages: 1 }
}

/** Metrics that the list of docs/oap-metrics.md calls fed, of the version that is run here. */
function fedMetrics(): string[] {
  const list = readFileSync(new URL('../../docs/oap-metrics.md', import.meta.url), 'utf8')
  const rows = [...list.matchAll(/^\| `(kubernetes_\w+)` \| (yes)? \| (?:yes)? \| (.*) \|$/gm)].map(row =>
    row.slice(1),
  )
  const inThisVersion = rows.filter(([, has]) => has === 'yes')
  expect(inThisVersion).toHaveLength(283)
  return inThisVersion.filter(([, , state]) => state!.startsWith('fed')).map(([name]) => name!)
}

function optionsOf(args: readonly string[]): OapConfig {
  const loaded = loadConfig(oapConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  return loaded.config
}

describe.skipIf(missing !== '')(`the fake OAP and the real one ${missing}`, () => {
  let real: Oap
  let fake: FakeOap
  let minute = 0

  beforeAll(async () => {
    real = await Oap.start()
    fake = await FakeOap.start()
  }, 600_000)

  afterAll(async () => {
    fake?.stop()
    await real?.stop()
  })

  it('take the same messages', async () => {
    minute = Math.floor(Date.now() / 60_000)
    for (const address of [real.address, fake.address]) {
      const connection = createOapConnection(address, optionsOf([]))
      await until('it takes a stream', async () => (await connection.probe()).code === OapCode.ok, {
        timeoutMs: 120_000,
      })
      for (const interval of intervals(minute)) {
        const counts = noCounts()
        const options = { node: 'node-a', cluster: '', nowMs: Date.now() }
        const answer = await connection.send(encodeInterval(interval, options, counts))
        expect(answer).toMatchObject({ code: OapCode.ok, messages: counts.messages })
        expect(counts.refused).toEqual({})
      }
      connection.close()
    }
    expect(fake.model.broken).toEqual([])
    expect(fake.emptyStreams).toBe(1)
  })

  it('make the same services, instances, endpoints and calls of them', async () => {
    const { model } = fake
    const reader = new OapReader(real)
    const sidesOf = (calls: readonly (readonly [string, ReadonlySet<string>])[]) =>
      calls.map(([call, sides]) => [call, [...sides].map(s => s.toUpperCase()).sort()]).sort()
    // OAP shows one kind of thing sooner than another
    await eventually(async () => expect(await reader.services()).toEqual([...model.services].sort()))
    await eventually(async () => {
      const { calls } = await reader.topology(minute - 2, minute + 1)
      expect(calls.map(({ call, detectedBy }) => [call, detectedBy])).toEqual(sidesOf([...model.calls]))
    })
    for (const service of model.services) {
      const own = (of: Set<string>) =>
        [...of]
          .filter(e => e.startsWith(`${service} | `))
          .map(e => e.slice(service.length + 3))
          .sort()
      await eventually(async () => {
        expect(await reader.instances(service, minute - 2, minute + 1)).toEqual(own(model.instances))
        expect(await reader.endpoints(service)).toEqual(own(model.endpoints))
      })
    }
    await eventually(async () => {
      const pods = await reader.instanceCalls('web.shop', 'api.shop', minute - 2, minute + 1)
      expect(pods.map(({ call, detectedBy }) => [call, detectedBy]).sort()).toEqual(
        sidesOf(
          [...model.instanceCalls].filter(
            ([call]) => call.startsWith('web.shop') && call.includes('> api.shop'),
          ),
        ),
      )
    })
  })

  it('show the same figures, every series of every entity', async () => {
    const { model } = fake
    const reader = new OapReader(real)
    const entities = [
      ...[...model.services, ...model.instances, ...model.calls.keys(), ...model.instanceCalls.keys()].map(
        oapEntity,
      ),
      ...[...model.endpoints].map(text => {
        const at = text.indexOf(' | ')
        return endpointEntity(text.slice(0, at), text.slice(at + 3))
      }),
    ]
    const wanted = [...model.series].filter(([, value]) => value !== 0).sort()
    expect(wanted.length).toBeGreaterThan(400)
    await eventually(async () => {
      const found = new Map<string, number>()
      for (const entity of entities)
        for (const [key, value] of await reader.series(entity, minute - 2, minute + 1)) found.set(key, value)
      expect(Object.fromEntries([...found].sort())).toEqual(Object.fromEntries(wanted))
    })
    expect(encodeLimits.readPackets).toBeLessThan(5e9)
    const filled = new Set(wanted.map(([key]) => key.split(' @ ')[0]!))
    expect(fedMetrics().filter(name => !filled.has(name))).toEqual([])
  })

  it('cut a stream at a message that is too long, which is no sign of trouble that passes', async () => {
    const longest = 50 * 1024 * 1024
    for (const address of [real.address, fake.address]) {
      const connection = createOapConnection(address, optionsOf([]))
      expect((await connection.send([messageOf(longest)])).code).toBe(OapCode.ok)
      expect((await connection.send([messageOf(longest + 1)])).code).toBe(OapCode.cancelled)
      expect((await connection.probe()).code).toBe(OapCode.ok)
      connection.close()
    }
  })

  it('are told from one without a receiver, and from nobody, before anything is sent', async () => {
    const at = { host: '127.0.0.1', port: real.ports.rest }
    const good = await checkOap(real.address, optionsOf([]), at)
    expect(good.missing).toEqual([])
    expect(good.found.join('; ')).toMatch(/takes access logs; version 10\.1\.0.*; \d+ metrics/)
    const without = await FakeOap.start({ hasReceiver: false })
    const bare = await checkOap(without.address, optionsOf([]), at)
    without.stop()
    expect(bare.missing).toEqual([expect.stringContaining('receiver-ebpf is off')])
    expect(bare.found.join()).not.toContain('takes access logs')
    const nobody = await checkOap('127.0.0.1:1', optionsOf([]), at)
    expect(nobody.missing.join()).toMatch(/ECONNREFUSED/)
  })

  it('know pods by name that have no traffic of their own', async () => {
    const { createPodBook } = await import('../../packages/aggregator/src/export/oap/interval/pod-book.ts')
    const pods = createPodBook()
    pods.see(
      [
        {
          service: 'idle.shop',
          pod: 'idle-0',
          properties: [
            ['node', 'node-a'],
            ['namespace', 'shop'],
          ],
        },
      ],
      0,
    )
    const connection = createOapConnection(real.address, optionsOf([]))
    for (const { keepAlive, properties } of pods.due(0, 10)) {
      expect((await connection.call('keepAlive', keepAlive)).code).toBe(OapCode.ok)
      expect((await connection.call('reportInstanceProperties', properties!)).code).toBe(OapCode.ok)
    }
    connection.close()
    const reader = new OapReader(real)
    await eventually(async () => expect(await reader.services()).toContain('idle.shop'))
    await eventually(async () => {
      const now = Math.floor(Date.now() / 60_000)
      expect(await reader.instances('idle.shop', minute - 1, now + 1)).toEqual(['idle-0'])
    })
  })
})
