import { bucketSlot } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kernelGroupings as groupings } from '../resolve/entity-grouping.ts'
import { createEntityIndex } from '../resolve/entity-index.ts'
import { v4MappedWord } from '../resolve/entity-source.ts'
import type { TopologyAnswer, TopologyQuery } from './answer.ts'
import { counterCount, histogramNames } from './counters.ts'
import { bucketValue } from './latency-entries.ts'
import { saidSumCount, unknownStatus } from './said-rows.ts'
import { checksumOf, segmentHeader, segmentVersion } from './segment-bytes.ts'
import { decodeSegment } from './segment-decode.ts'
import { createTopology } from './topology.ts'

const minuteMs = 60_000
const m0 = 29_400_000 - (29_400_000 % 10)
const startMs = m0 * minuteMs

/** One booking: amounts are given as a list of (counter, amount) and samples as (histogram, value). */
interface Booking {
  readonly edge: number
  readonly minute: number
  readonly amounts: readonly (readonly [number, number])[]
  readonly samples: readonly (readonly [number, number])[]
  readonly said: readonly Said[]
}

interface Said {
  readonly operation: string
  readonly status: number
  readonly flags: number
  readonly count: number
  readonly us: number
}

const edgeCount = 6
const bookings = (minutes: number) =>
  fc.array(
    fc.record({
      edge: fc.nat({ max: edgeCount - 1 }),
      minute: fc.nat({ max: minutes - 1 }),
      amounts: fc.array(
        fc.tuple(
          fc.nat({ max: counterCount - 1 }),
          fc.oneof(fc.nat({ max: 400 }), fc.nat({ max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 17 })),
        ),
        { minLength: 1, maxLength: 8 },
      ),
      samples: fc.array(fc.tuple(fc.nat({ max: histogramNames.length - 1 }), fc.nat({ max: 1e6 })), {
        maxLength: 5,
      }),
      said: fc.array(
        fc.record({
          operation: fc.constantFrom('GET /', 'GET /users/{id}', 'POST /orders'),
          status: fc.constantFrom(200, 404, 500, unknownStatus),
          flags: fc.nat({ max: 7 }),
          count: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constant(2 ** 33)),
          us: fc.nat({ max: 1e6 }),
        }),
        { maxLength: 3 },
      ),
    }),
    { minLength: 1, maxLength: 30 },
  )

/** Minutes close when `closeUntil` says so; rows may be booked up to minute `m0 + running`. */
function setUp(atMs = startMs, running = 0, more: { readonly rowsPerAdvance?: number } = {}) {
  const index = createEntityIndex({ maxNamedAddresses: 64 })
  const segments: Uint8Array[] = []
  const onSegment = (bytes: Uint8Array) => segments.push(bytes)
  const topology = createTopology({ index, startMs: atMs, onSegment, graceMs: 1e9, ...more })
  topology.book(0)
  for (let m = 0; m <= running; m++) topology.advance(atMs + m * minuteMs)
  const owner = { cgroup: '/x', podUid: '', pid: 1 }
  const processes = Array.from({ length: 4 }, (_, i) =>
    index.ofOwner(index.node(`n${i % 2}`), {
      ...owner,
      process: `p${i}`,
      unit: i < 2 ? 'u.service' : '',
      containerId: i === 3 ? 'c'.repeat(64) : '',
    }),
  )
  const outside = index.ofAddress(index.node('n0'), 0, 0, v4MappedWord, 0x04030201, 0)
  const ends = [
    [processes[0], processes[1]],
    [processes[1], processes[0]],
    [processes[2], processes[3]],
    [processes[0], outside],
    [outside, processes[3]],
    [processes[3], processes[3]],
  ] as const
  // edges are interned when first used, so that numbers differ between processes
  const edge = (i: number) =>
    topology
      .book(0)
      .edge(ends[i][0], ends[i][1], i === 2 ? 2 : 1, 80 + (i % 2), i === 1 ? outside : -1, i === 1 ? 53 : 0)
  const book = (b: Booking, sign: 1 | -1 = 1) => {
    const row = topology.book(0).row(edge(b.edge), m0 + b.minute)
    expect(row).toBeGreaterThanOrEqual(0)
    for (const [counter, amount] of b.amounts) topology.book(0).counters[row + counter] += sign * amount
    for (const [histogram, value] of b.samples) topology.book(0).sample(row, histogram, value, sign)
    const rows = topology.book(0).said(m0 + b.minute)!
    for (const { operation, status, flags, count, us } of b.said) {
      const number = rows.operation({ protocol: 1 + (us % 3), name: operation, host: 'shop' })
      const at = rows.row(edge(b.edge), number, status, flags)
      for (let sum = 0; sum < saidSumCount; sum++)
        rows.add(at, sum, sign * (sum < 3 ? count : (count % 1000) * us))
      rows.addBucket(at, bucketSlot(us), sign * (count % 1000))
    }
  }
  const closeUntil = (minute: number) => {
    for (let m = m0; m <= m0 + minute; m++) {
      topology.book(0).heard('n', 'boot', 0, (m + 1) * minuteMs)
      topology.book(0).minuteComplete('n', 'boot', 0, m)
      topology.advance((m + 1) * minuteMs)
    }
  }
  return { index, topology, segments, book, closeUntil }
}

function answer(
  t: ReturnType<typeof setUp>,
  from: number,
  to: number,
  more: Partial<TopologyQuery> = {},
): TopologyAnswer {
  const query = {
    fromMs: startMs + from * minuteMs,
    toMs: startMs + to * minuteMs,
    groupBy: 'process' as const,
    limit: 500,
    ...more,
  }
  return t.topology.topology(query, startMs + 40 * minuteMs)
}

/** Edges and nodes as they are written. */
function rawEdges(t: ReturnType<typeof setUp>, from: number, to: number, more: Partial<TopologyQuery>) {
  const query = {
    fromMs: startMs + from * minuteMs,
    toMs: startMs + to * minuteMs,
    groupBy: 'process' as const,
    limit: 500,
    ...more,
  }
  const bytes = t.topology.topologyJson(query, startMs + 40 * minuteMs)
  const { nodes, edges } = JSON.parse(Buffer.from(bytes).toString('latin1')) as TopologyAnswer
  return { nodes, edges }
}

/** Sums of everything that is a number in the edges, apart from quantiles. */
function totals({ edges }: TopologyAnswer): Record<string, number> {
  const sums: Record<string, number> = {}
  const visit = (value: unknown, path: string) => {
    if (typeof value === 'number' && !/\.(p\d+|max|port)$/.test(path)) sums[path] = (sums[path] ?? 0) + value
    else if (typeof value === 'object' && value !== null)
      for (const [key, inner] of Object.entries(value)) visit(inner, `${path}.${key}`)
  }
  for (const edge of edges) visit({ ...edge, health: undefined }, '')
  return Object.fromEntries(Object.entries(sums).filter(([, n]) => n !== 0))
}

describe('segments', () => {
  it('answer like the open minute, in any split into base and corrections', () => {
    fc.assert(
      fc.property(bookings(3), fc.nat({ max: 30 }), (list, late) => {
        const direct = setUp(startMs, 2)
        for (const b of list) direct.book(b)
        const split = setUp(startMs, 2)
        const onTime = list.slice(late)
        for (const b of onTime) split.book(b)
        split.closeUntil(2)
        for (const b of list.slice(0, late)) split.book(b)
        expect(answer(split, 0, 3).edges).toEqual(answer(direct, 0, 3).edges)
        for (let m = 4; m <= 6; m++) split.topology.advance((m0 + m) * minuteMs)
        expect(answer(split, 0, 3).edges).toEqual(answer(direct, 0, 3).edges)
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  it('are as if nothing had been when everything is taken back', () => {
    fc.assert(
      fc.property(bookings(2), list => {
        const t = setUp(startMs, 1)
        for (const b of list) t.book(b)
        t.closeUntil(1)
        for (const b of list) t.book(b, -1)
        expect(answer(t, 0, 2).edges).toEqual([])
        t.topology.advance((m0 + 5) * minuteMs)
        expect(answer(t, 0, 2).edges).toEqual([])
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  it('give a restarted process the same answers minute by minute', () => {
    fc.assert(
      fc.property(bookings(4), list => {
        const before = setUp(startMs, 3)
        for (const b of list) before.book(b)
        before.closeUntil(1)
        before.topology.flush(startMs + 3 * minuteMs)
        const after = setUp(startMs + 3 * minuteMs)
        for (const bytes of before.segments) expect(after.topology.load(bytes).ok).toBe(true)
        for (let m = 0; m < 4; m++)
          for (const groupBy of groupings)
            expect(answer(after, m, m + 1, { groupBy }).edges).toEqual(
              answer(before, m, m + 1, { groupBy }).edges,
            )
        for (const bytes of before.segments)
          expect(after.topology.load(bytes)).toEqual({ ok: false, reason: 'already_loaded' })
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  it('conserve totals under every grouping and when ten minutes are merged', () => {
    fc.assert(
      fc.property(bookings(10), list => {
        const t = setUp(startMs, 9)
        for (const b of list) t.book(b)
        const open = totals(answer(t, 0, 10))
        for (const groupBy of groupings) expect(totals(answer(t, 0, 10, { groupBy }))).toEqual(open)
        t.closeUntil(38)
        const merged = t.segments
          .map(b => decodeSegment(b))
          .filter(d => d.ok && d.segment.head.minutes === 10)
        expect(merged.length).toBeGreaterThan(0)
        for (const groupBy of groupings) expect(totals(answer(t, 0, 10, { groupBy }))).toEqual(open)
        const again = setUp(startMs + 39 * minuteMs)
        for (const bytes of t.segments) {
          const decoded = decodeSegment(bytes)
          if (decoded.ok && decoded.segment.head.minutes === 10) again.topology.load(bytes)
        }
        expect(totals(answer(again, 0, 10))).toEqual(open)
      }),
      { numRuns: 20 },
    )
  }, 60_000)

  it('take a minute out of what was kept that was open when it was put in', () => {
    const booked: Booking[] = [
      { edge: 0, minute: 0, amounts: [[0, 1]], samples: [[1, 400]], said: [] },
      { edge: 0, minute: 1, amounts: [[8, 1]], samples: [], said: [] },
      // takes the rows of the packed minute over
      { edge: 2, minute: 3, amounts: [[0, 1]], samples: [[0, 9000]], said: [] },
    ]
    const warm = setUp(startMs, 3)
    const cold = setUp(startMs, 3)
    const ask = (t: ReturnType<typeof setUp>, from: number) =>
      rawEdges(t, from, from + 3, { groupBy: 'unit' })
    for (const b of booked) cold.book(b)
    for (const b of booked.slice(0, 2)) warm.book(b)
    for (let asked = 0; asked < 3; asked++) ask(warm, 0)
    warm.closeUntil(0)
    warm.book(booked[2])
    for (let asked = 0; asked < 3; asked++) expect(ask(warm, 1)).toEqual(ask(cold, 1))
  })

  it('answer from what was kept as a process does that was never asked before', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: bookings(4).map(list => ({ kind: 'book' as const, list: list.slice(0, 6) })) },
      { weight: 1, arbitrary: fc.nat().map(which => ({ kind: 'takeBack' as const, which })) },
      { weight: 1, arbitrary: fc.nat({ max: 5 }).map(minute => ({ kind: 'close' as const, minute })) },
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('ask' as const),
          from: fc.nat({ max: 3 }),
          minutes: fc.integer({ min: 1, max: 4 }),
          groupBy: fc.constantFrom(...groupings),
          detail: fc.boolean(),
        }),
      },
    )
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), fc.boolean(), (steps, packs) => {
        // what is closed and not packed yet must answer the same
        const warm = setUp(startMs, 3, packs ? {} : { rowsPerAdvance: 0 })
        const booked: { b: Booking; sign: 1 | -1 }[] = []
        const book = (b: Booking, sign: 1 | -1) => {
          booked.push({ b, sign })
          warm.book(b, sign)
        }
        for (const s of steps) {
          if (s.kind === 'book') for (const b of s.list) book(b, 1)
          else if (s.kind === 'close') warm.closeUntil(s.minute)
          else if (s.kind === 'takeBack') {
            const old = booked[s.which % Math.max(1, booked.length)]
            if (old?.sign === 1) book(old.b, -1)
          } else {
            const cold = setUp(startMs, 3)
            for (const { b, sign } of booked) cold.book(b, sign)
            const { from, minutes, groupBy, detail } = s
            const asked = (t: ReturnType<typeof setUp>) =>
              rawEdges(t, from, from + minutes, { groupBy, detail })
            const expected = asked(cold)
            // the second time more is kept than the first
            expect(asked(warm)).toEqual(expected)
            expect(asked(warm)).toEqual(expected)
          }
        }
      }),
      { numRuns: 60 },
    )
  }, 120_000)

  it('come back with sums beyond 2^53, as a hostile collector makes them', () => {
    const t = setUp()
    const said = { operation: 'GET /', status: 200, flags: 0, count: 2 ** 53, us: 1 }
    t.book({ edge: 0, minute: 0, amounts: [[0, 1]], samples: [], said: [said, said] })
    t.closeUntil(0)
    t.topology.flush(startMs + minuteMs)
    expect(t.segments.length).toBeGreaterThan(0)
    const again = setUp(startMs + 2 * minuteMs)
    for (const bytes of t.segments) expect(again.topology.load(bytes).ok).toBe(true)
  })

  it('refuse bytes that are not sound, whatever they are', () => {
    const t = setUp()
    t.book({ edge: 0, minute: 0, amounts: [[3, 70_000]], samples: [[0, 900]], said: [] })
    t.book({ edge: 3, minute: 0, amounts: [[4, 2 ** 40]], samples: [[1, 5]], said: [] })
    t.closeUntil(0)
    const good = t.segments[0]
    expect(decodeSegment(good).ok).toBe(true)
    for (let length = 0; length < good.length; length++)
      expect(decodeSegment(good.slice(0, length)).ok).toBe(false)
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = good.slice()
      bad[bit >> 3] ^= 1 << (bit & 7)
      expect(decodeSegment(bad).ok, `bit ${bit}`).toBe(false)
    }
    expect(t.topology.load(good.slice(0, 90))).toEqual({ ok: false, reason: 'truncated' })
    expect(t.topology.stats().refusedSegments).toEqual({ truncated: 1 })
  })

  it('refuse those of another version, older or newer, by name', () => {
    const t = setUp()
    t.book({ edge: 0, minute: 0, amounts: [[3, 70_000]], samples: [], said: [] })
    t.closeUntil(0)
    for (const version of [segmentVersion - 1, segmentVersion + 1]) {
      const other = t.segments[0].slice()
      new DataView(other.buffer).setUint32(segmentHeader.version * 4, version, true)
      expect(decodeSegment(other)).toEqual({ ok: false, reason: 'unknown_version' })
    }
  })

  it('survive any bytes behind a right checksum', () => {
    const t = setUp()
    t.book({
      edge: 0,
      minute: 0,
      amounts: [
        [3, 70_000],
        [5, 1],
      ],
      samples: [[0, 900]],
      said: [],
    })
    t.closeUntil(0)
    const good = t.segments[0]
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: good.length / 4 - 1 }), fc.nat({ max: 0xffffffff })), {
          maxLength: 4,
        }),
        changes => {
          const bad = good.slice()
          const view = new DataView(bad.buffer)
          for (const [word, value] of changes) if (word !== 3) view.setUint32(word * 4, value, true)
          view.setUint32(12, checksumOf(bad), true)
          const loaded = setUp(startMs + 10 * minuteMs)
          const result = loaded.topology.load(bad)
          if (result.ok) answer(loaded, 0, 1)
          else expect(result.reason).toMatch(/^[a-z_]+$/)
        },
      ),
      { numRuns: 300 },
    )
  }, 60_000)
})

describe('bucketValue', () => {
  it('holds each value in the bucket whose bounds enclose it, and shows a value near it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat({ max: 5000 }), fc.nat({ max: 0xffffffff })), value => {
        const bucket = bucketSlot(value)
        if (value === 0) expect(bucket).toBe(0)
        else {
          expect(value).toBeGreaterThan(2 ** ((bucket - 2) / 8) * (1 - 1e-12))
          expect(value).toBeLessThanOrEqual(2 ** ((bucket - 1) / 8) * (1 + 1e-12))
          if (value > 20) expect(Math.abs(bucketValue(bucket) / value - 1)).toBeLessThan(0.07)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
