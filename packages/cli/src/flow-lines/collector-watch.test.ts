import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCollectorWatch } from './collector-watch.ts'
import { type BatchParts, batchOf, decoded } from './rows.testing.ts'

const header = (parts: BatchParts) => decoded(batchOf(parts)).header
/** Batch `sequence` of a boot whose batches hold ten records each. */
const ten = (sequence: number, parts: BatchParts = {}) =>
  header({
    sequence,
    firstRecord: 10 * (sequence - 1),
    records: Array.from({ length: 10 }, () => ({})),
    ...parts,
  })

describe('createCollectorWatch', () => {
  it('tells nothing while all batches come, and begins anywhere', () => {
    const watch = createCollectorWatch()
    for (const sequence of [5, 6, 7]) expect(watch.note(ten(sequence))).toEqual({ isNew: true, events: [] })
  })

  it('tells exactly how many records a gap held', () => {
    const watch = createCollectorWatch()
    watch.note(ten(2))
    const { events } = watch.note(ten(6))
    expect(events).toMatchObject([
      { kind: 'gap', node: 'n1', partition: 0, firstSequence: 3, lastSequence: 5, batches: 3, records: 30 },
    ])
  })

  it('knows a repetition from a batch that comes late, and the latter only once', () => {
    const watch = createCollectorWatch()
    for (const sequence of [1, 2, 5]) watch.note(ten(sequence))
    expect(watch.note(ten(2)).isNew).toBe(false)
    expect(watch.note(ten(5)).isNew).toBe(false)
    expect(watch.note(ten(3))).toMatchObject({
      isNew: true,
      events: [{ kind: 'late', sequence: 3, records: 10 }],
    })
    expect(watch.note(ten(3)).isNew).toBe(false)
    expect(watch.note(ten(4)).isNew).toBe(true)
    expect(watch.note(ten(6))).toEqual({ isNew: true, events: [] })
  })

  it('keeps nodes and partitions apart', () => {
    const watch = createCollectorWatch()
    watch.note(ten(1))
    expect(watch.note(ten(9, { partition: 1 }))).toEqual({ isNew: true, events: [] })
    expect(watch.note(ten(9, { node: 'n2' }))).toEqual({ isNew: true, events: [] })
    expect(watch.note(ten(2))).toEqual({ isNew: true, events: [] })
  })

  it('does not call missing what was let go unread', () => {
    const watch = createCollectorWatch()
    const { node, bootId } = ten(1)
    watch.note(ten(1))
    for (const sequence of [2, 3]) watch.skip({ node, bootId, partition: 0, sequence, recordCount: 10 })
    expect(watch.note(ten(4)).events).toEqual([])
    watch.skip({ node, bootId, partition: 0, sequence: 5, recordCount: 10 })
    expect(watch.note(ten(8)).events).toMatchObject([{ kind: 'gap', batches: 2, records: 20 }])
  })

  it('tells losses when they grow, and what was lost before', () => {
    const watch = createCollectorWatch()
    const losses = (records: number) => ({ losses: [{ place: 1, records }] })
    expect(watch.note(ten(4, losses(7))).events).toMatchObject([
      { kind: 'lost', place: 'ring_full', total: 7, before: true },
    ])
    expect(watch.note(ten(5, losses(7))).events).toEqual([])
    // another partition's batch, sealed earlier
    expect(watch.note(ten(1, { partition: 1, ...losses(6) })).events).toEqual([])
    expect(watch.note(ten(6, losses(9))).events).toMatchObject([
      { kind: 'lost', place: 'ring_full', records: 2, total: 9, before: false },
    ])
  })

  it('tells a restart, and whether the run before ended cleanly', () => {
    const watch = createCollectorWatch()
    watch.note(ten(1))
    watch.note(ten(1, { partition: 1 }))
    expect(
      watch.note(header({ sequence: 2, firstRecord: 10, records: [], cleanStop: true })).events,
    ).toMatchObject([{ kind: 'stopped', node: 'n1' }])
    expect(watch.note(ten(1, { bootId: '00000000000000bb' })).events).toMatchObject([
      { kind: 'restarted', afterCleanStop: false, previousBoot: '00000000000000aa' },
    ])
    expect(
      watch.note(
        header({ bootId: '00000000000000bb', sequence: 2, firstRecord: 10, records: [], cleanStop: true }),
      ).events,
    ).toMatchObject([{ kind: 'stopped' }])
    expect(watch.note(ten(1, { bootId: '00000000000000cc' })).events).toMatchObject([
      { kind: 'restarted', afterCleanStop: true },
    ])
  })

  it('counts from the first record of a boot whose start it saw', () => {
    const watch = createCollectorWatch()
    watch.note(ten(1))
    expect(watch.note(ten(3, { bootId: '00000000000000bb' })).events).toMatchObject([
      { kind: 'restarted' },
      { kind: 'gap', firstSequence: 1, lastSequence: 2, records: 20 },
    ])
  })

  it('does not take turns between two collectors of one name for restarts without end', () => {
    const watch = createCollectorWatch()
    let restarts = 0
    for (let sequence = 1; sequence <= 20; sequence++) {
      for (const bootId of ['00000000000000aa', '00000000000000bb']) {
        restarts += watch.note(ten(sequence, { bootId })).events.length
      }
    }
    expect(restarts).toBe(1)
  })

  it('follows only so many, and says so once', () => {
    const watch = createCollectorWatch(3)
    const kinds: string[] = []
    for (let node = 0; node < 20; node++) {
      kinds.push(...watch.note(ten(1, { node: `n${node}` })).events.map(({ kind }) => kind))
    }
    expect(kinds).toEqual(['unfollowed'])
  })

  it('accounts for every record, in whatever order and however often batches come', () => {
    const arrivals = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(arrivals, sequences => {
        const watch = createCollectorWatch()
        let shown = 0
        let missing = 0
        for (const sequence of sequences) {
          const { isNew, events } = watch.note(ten(sequence))
          if (isNew) shown += 10
          for (const event of events) {
            if (event.kind === 'gap') missing += event.records
            if (event.kind === 'late') missing -= event.records
          }
        }
        const [first] = sequences
        const from = sequences.filter(sequence => sequence >= first!)
        expect(shown).toBe(10 * new Set(from).size)
        expect(shown + missing).toBe(10 * (Math.max(...from) - first! + 1))
      }),
      { numRuns: 300 },
    )
  })
})
