import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type BodyPart, largestBodyBytes } from './body-writer.ts'
import type { FlowColumns, Owner } from './columns.ts'
import { decodeFlowBatch } from './decode.ts'
import { encodeBody, encodeHeader } from './encode.ts'
import { createBatchHeader, createFlowColumns } from './flow-columns.ts'
import { Kind, packKind, State, stateOf } from './kind.ts'
import { mergeBodies } from './merge-bodies.ts'

const minuteMs = Date.UTC(2026, 0, 1)
const columns = createFlowColumns()

interface Reading {
  readonly flow: number
  readonly v6: boolean
  readonly state: number
  readonly flags: number
  readonly owner: string
  readonly atMs: number
  readonly ageMs: number
  readonly srttUs: number
  readonly handshakeUs: number
  readonly deltas: readonly bigint[]
  readonly sentTotal: bigint
  readonly receivedTotal: bigint
}

const plain: Reading = {
  flow: 1,
  v6: false,
  state: State.open,
  flags: 0,
  owner: 'curl',
  atMs: 1_000,
  ageMs: 500,
  srttUs: 0,
  handshakeUs: 0,
  deltas: Array.from({ length: 8 }, () => 0n),
  sentTotal: 0n,
  receivedTotal: 0n,
}

const low = (value: bigint) => Number(value & 0xffff_ffffn)
const high = (value: bigint) => Number((value >> 32n) & 0xffff_ffffn)
const deltaNames = [
  'bytesSent',
  'bytesReceived',
  'segmentsSent',
  'segmentsReceived',
  'dataSegmentsSent',
  'dataSegmentsReceived',
  'retransmittedSegments',
  'outOfOrderSegments',
] as const

function partOf(readings: readonly Reading[], names: FlowColumns['header']['names'] = []): BodyPart {
  const made = createFlowColumns()
  made.count = readings.length
  made.header.names.push(...names)
  readings.forEach((reading, i) => {
    put(made, i, reading)
  })
  return { recordCount: readings.length, body: encodeBody(made) }
}

function put(made: FlowColumns, i: number, reading: Reading): void {
  const { u32, u64, header, v6Addresses } = made
  u32.kind[i] = packKind(1, 1, reading.state, 0, reading.flags | (reading.v6 ? Kind.v6 : 0))
  u64.flowId[2 * i] = reading.flow
  u32.diallerIsn[i] = reading.flow + 7
  u32.ports[i] = 80
  u32.owner[i] = ownerIndex(header.owners, reading.owner)
  u32.localAddress[i] = reading.flow
  u32.remoteAddress[i] = 0x0100000a
  if (reading.v6) {
    v6Addresses.set([0xfd, reading.flow], 32 * i)
    v6Addresses.set([0xfe, 1], 32 * i + 16)
    u32.localAddress[i] = 2 * i
    u32.remoteAddress[i] = 2 * i + 1
  }
  u32.atMs[i] = reading.atMs
  u32.ageMs[i] = reading.ageMs
  u32.srttUs[i] = reading.srttUs
  u32.handshakeUs[i] = reading.handshakeUs
  reading.deltas.forEach((delta, d) => {
    u32[deltaNames[d]][i] = low(delta)
    if (high(delta) === 0) return
    u32.wideAt[made.wideCount] = (i << 8) | (46 + d)
    u32.wideHigh[made.wideCount++] = high(delta)
  })
  u64.bytesSentTotal.set([low(reading.sentTotal), high(reading.sentTotal)], 2 * i)
  u64.bytesReceivedTotal.set([low(reading.receivedTotal), high(reading.receivedTotal)], 2 * i)
}

function ownerIndex(owners: Owner[], process: string): number {
  const known = owners.findIndex(owner => owner.process === process)
  if (known >= 0) return known
  return owners.push({ process, cgroup: '/x', podUid: '', containerId: '', unit: '', pid: 3 }) - 1
}

interface Read extends Reading {
  readonly minRttUs: number
}

interface Decoded {
  readonly readings: Read[]
  readonly names: { readonly part: number; readonly name: string }[]
  readonly remotes: { readonly part: number; readonly text: string }[]
}

function decode(parts: readonly BodyPart[]): Decoded {
  const decoded: Decoded = { readings: [], names: [], remotes: [] }
  parts.forEach(({ body, recordCount }, part) => {
    const head = { ...createBatchHeader(), node: 'n', sequence: 1, recordCount }
    const header = encodeHeader({ ...head, baseUnixMs: minuteMs, sentUnixMs: minuteMs })
    const message = Buffer.concat([header, body])
    expect(decodeFlowBatch(message, columns)).toEqual({ ok: true })
    for (const { name } of columns.header.names) decoded.names.push({ part, name })
    for (let i = 0; i < columns.count; i++) decoded.readings.push(readingAt(i))
  })
  return decoded
}

function readingAt(i: number): Read {
  const { u32, u64, header, v6Addresses } = columns
  const v6 = (u32.kind[i] & Kind.v6) !== 0
  const wide = new Map<number, bigint>()
  for (let w = 0; w < columns.wideCount; w++)
    if (u32.wideAt[w] >>> 8 === i) wide.set(u32.wideAt[w] & 0xff, BigInt(u32.wideHigh[w]) << 32n)
  const long = (words: Uint32Array) => BigInt(words[2 * i]) + (BigInt(words[2 * i + 1]) << 32n)
  const local = v6 ? v6Addresses[16 * u32.localAddress[i] + 1] : u32.localAddress[i]
  expect(local).toBe(u64.flowId[2 * i])
  if (v6) expect(v6Addresses[16 * u32.remoteAddress[i]]).toBe(0xfe)
  return {
    flow: u64.flowId[2 * i],
    v6,
    state: stateOf(u32.kind[i]),
    flags: u32.kind[i] & (Kind.first | Kind.adopted | Kind.announcedAgain | Kind.quiet),
    owner: header.owners[u32.owner[i]].process,
    atMs: u32.atMs[i],
    ageMs: u32.ageMs[i],
    srttUs: u32.srttUs[i],
    handshakeUs: u32.handshakeUs[i],
    minRttUs: u32.minRttUs[i],
    deltas: deltaNames.map((name, d) => BigInt(u32[name][i]) + (wide.get(46 + d) ?? 0n)),
    sentTotal: long(u64.bytesSentTotal),
    receivedTotal: long(u64.bytesReceivedTotal),
  }
}

/** A flow's readings within one minute, each beginning where the one before ended. */
const flowReadings = fc
  .record({
    v6: fc.boolean(),
    owner: fc.constantFrom('curl', 'nginx', 'a process with a long name '.repeat(20)),
    adopted: fc.boolean(),
    closes: fc.boolean(),
    lost: fc.boolean(),
    steps: fc.array(fc.array(fc.bigInt(0n, 1n << 40n), { minLength: 8, maxLength: 8 }), {
      minLength: 1,
      maxLength: 8,
    }),
  })
  .map(({ v6, owner, adopted, closes, lost, steps }) => {
    let [sentTotal, receivedTotal] = [adopted ? 1n << 33n : 0n, adopted ? 5n : 0n]
    return steps.map((deltas, n): Reading => {
      sentTotal += deltas[0]
      receivedTotal += deltas[1] + (lost && n === 2 ? 1n : 0n)
      const first = n === 0 ? Kind.first : 0
      return {
        ...plain,
        v6,
        owner,
        state: closes && n === steps.length - 1 ? State.closed : State.open,
        flags: first | (adopted ? Kind.adopted : 0) | (n === steps.length - 1 ? Kind.quiet : 0),
        atMs: 1_000 + 100 * n,
        ageMs: 700 + 100 * n - (n % 2),
        srttUs: n % 3,
        handshakeUs: n === 0 && !adopted ? 90 : 0,
        deltas,
        sentTotal,
        receivedTotal,
      }
    })
  })

/** Flows side by side, cut into bodies at random. */
const bodies = fc
  .record({
    flows: fc.array(flowReadings, { minLength: 1, maxLength: 30 }),
    cuts: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
    spread: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ flows, cuts, spread }) => {
    const all: Reading[] = []
    for (let n = 0; n < 8; n++)
      flows.forEach((readings, flow) => {
        for (const reading of readings.slice(n * spread, (n + 1) * spread))
          all.push({ ...reading, flow: flow + 1 })
      })
    const parts: Reading[][] = []
    for (let at = 0, cut = 0; at < all.length; cut++) {
      const size = cuts[cut % cuts.length]
      parts.push(all.slice(at, at + size))
      at += size
    }
    return parts
  })

function perFlow(readings: readonly Reading[]) {
  const flows = new Map<number, object>()
  for (const flow of new Set(readings.map(reading => reading.flow))) {
    const mine = readings.filter(reading => reading.flow === flow)
    const last = mine.at(-1)!
    flows.set(flow, {
      deltas: deltaNames.map((_, d) => mine.reduce((sum, { deltas }) => sum + deltas[d], 0n)),
      totals: [last.sentTotal, last.receivedTotal],
      end: [last.state, last.atMs, last.flags & Kind.quiet],
      first: mine.filter(({ flags }) => (flags & Kind.first) !== 0).length,
      adopted: last.flags & Kind.adopted,
      handshake: mine.map(({ handshakeUs }) => handshakeUs).filter(us => us > 0),
      openedMs: Math.min(...mine.map(({ atMs, ageMs }) => atMs - ageMs)),
      owner: new Set(mine.map(({ owner }) => owner)),
      lastSrtt: mine
        .map(({ srttUs }) => srttUs)
        .filter(us => us > 0)
        .at(-1),
      /** What the totals skip: nothing may be added to it or taken from it. */
      hole:
        last.receivedTotal -
        mine[0].receivedTotal +
        mine[0].deltas[1] -
        mine.reduce((s, r) => s + r.deltas[1], 0n),
    })
  }
  return flows
}

describe('mergeBodies', () => {
  it('keeps what a flow adds up to, its first and one-off values, its end, owner, opening and holes', () => {
    fc.assert(
      fc.property(bodies, given => {
        const parts = given.map(readings => partOf(readings))
        const merged = mergeBodies(parts)
        if (merged === undefined) return
        const { readings } = decode(merged)
        expect(perFlow(readings)).toEqual(perFlow(given.flat()))
        expect(merged.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(readings.length)
      }),
      { numRuns: 300 },
    )
  })

  it('makes one record of a flow, unless something is missing in between', () => {
    const step = (n: number, change: Partial<Reading> = {}): Reading => ({
      ...plain,
      atMs: 1_000 * n,
      deltas: [100n, ...plain.deltas.slice(1)],
      sentTotal: BigInt(100 * n),
      ...change,
    })
    const count = (readings: Reading[]) =>
      mergeBodies([partOf(readings.slice(0, 1)), partOf(readings.slice(1))])?.reduce(
        (sum, p) => sum + p.recordCount,
        0,
      )
    expect(count([step(1), step(2), step(3)])).toBe(1)
    expect(count([step(1), step(2), step(4)])).toBe(2)
    expect(count([step(1), step(2, { owner: 'other' }), step(3, { owner: 'other' })])).toBe(2)
    expect(count([step(1), step(2, { state: State.closed }), step(3)])).toBe(2)
    expect(count([step(1, { v6: true }), step(2, { v6: true }), step(3, { v6: true })])).toBe(1)
  })

  it('says an announcement is one only if both were', () => {
    const twice = (a: number, b: number) => {
      const [merged] = mergeBodies([partOf([{ ...plain, flags: a }]), partOf([{ ...plain, flags: b }])])!
      return decode([merged]).readings[0].flags
    }
    expect(twice(Kind.announcedAgain, Kind.announcedAgain)).toBe(Kind.announcedAgain)
    expect(twice(Kind.announcedAgain, 0)).toBe(0)
    expect(twice(0, Kind.announcedAgain)).toBe(0)
  })

  it('keeps frames within 1,000 records and 46 KB, and gains where whole waves of readings repeat', () => {
    const wave = (n: number, from: number): Reading[] =>
      Array.from({ length: 400 }, (_, i) => ({
        ...plain,
        flow: (from + i) % 256,
        v6: true,
        atMs: 10 * n,
        deltas: plain.deltas.map(() => 1n << 33n),
        sentTotal: BigInt(n) << 33n,
        receivedTotal: BigInt(n) << 33n,
      }))
    const parts = [1, 2, 3, 4].flatMap(n => [
      partOf(wave(n, 0).slice(0, 200)),
      partOf(wave(n, 200).slice(0, 56)),
    ])
    const merged = mergeBodies(parts)!
    for (const { body, recordCount } of merged) {
      expect(body.length).toBeLessThanOrEqual(largestBodyBytes)
      expect(recordCount).toBeLessThanOrEqual(1_000)
    }
    expect(decode(merged).readings).toHaveLength(256)
    expect(merged.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThan(
      parts.reduce((sum, { body }) => sum + body.length, 0) / 3,
    )
  })

  it('keeps every name, and that of a remote address beside the record that tells of the flow anew', () => {
    const name = (text: string, last: number) => ({
      address: Uint8Array.of(10, 0, 0, last),
      name: text,
      ttlSeconds: 60,
      seenUnixMs: minuteMs,
    })
    const filler = Array.from({ length: 400 }, (_, i) => ({ ...plain, flow: 10 + i, owner: `p${i}` }))
    const parts = [
      partOf([...filler.slice(0, 200)], [name('unasked.example', 9)]),
      partOf([...filler.slice(200), { ...plain, flow: 500, flags: Kind.first }], [name('web.example', 1)]),
      partOf([...filler.map(reading => ({ ...reading, atMs: 2_000 }))], [name('web.example', 1)]),
    ]
    const merged = mergeBodies(parts)!
    const { names } = decode(merged)
    expect([...new Set(names.map(each => each.name))].sort()).toEqual(['unasked.example', 'web.example'])
    merged.forEach((part, at) => {
      const told = decode([part]).readings.some(({ flags }) => (flags & Kind.first) !== 0)
      if (told) expect(names.filter(each => each.part === at).map(each => each.name)).toContain('web.example')
    })
  })

  it('leaves alone what gains nothing, and refuses what is no body', () => {
    expect(mergeBodies([partOf([plain])])).toBeUndefined()
    expect(mergeBodies([partOf([plain]), partOf([])])).toBeUndefined()
    const body = partOf([plain, { ...plain, flow: 2 }]).body
    expect(() => mergeBodies([{ recordCount: 3, body }])).toThrow(RangeError)
    expect(() => mergeBodies([{ recordCount: 2, body: body.subarray(0, body.length - 1) }])).toThrow(
      RangeError,
    )
  })
})
