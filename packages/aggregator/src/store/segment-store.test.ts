import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createEntityIndex } from '../resolve/entity-index.ts'
import { Counter } from '../topology/counters.ts'
import { createTopology, type Topology } from '../topology/topology.ts'
import { openSegmentStore } from './segment-store.ts'

const minuteMs = 60_000
const m0 = 29_400_000
const startMs = m0 * minuteMs

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'skybraid-segments-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function run(atMs: number) {
  const store = openSegmentStore({ directory })
  const index = createEntityIndex({ maxNamedAddresses: 16 })
  const topology = createTopology({ index, startMs: atMs, onSegment: store.append })
  const loaded = store.loadAll(topology.load)
  topology.advance(atMs)
  const book = (minute: number, opened: number) => {
    const owner = (process: string) => ({
      cgroup: '',
      podUid: '',
      containerId: '',
      unit: '',
      process,
      pid: 1,
    })
    const node = index.node('n1')
    const edge = topology
      .book(0)
      .edge(index.ofOwner(node, owner('a')), index.ofOwner(node, owner('b')), 1, 80, -1, 0)
    const row = topology.book(0).row(edge, minute)
    topology.book(0).counters[row + Counter.openedJoined] += opened
  }
  return { store, topology, loaded, book }
}

function openedIn(topology: Topology, minute: number): number {
  const query = {
    fromMs: minute * minuteMs,
    toMs: (minute + 1) * minuteMs,
    groupBy: 'process' as const,
    limit: 10,
  }
  return topology.topology(query, startMs + 30 * minuteMs).edges[0]?.tcp?.opened ?? 0
}

describe('openSegmentStore', () => {
  it('brings closed and interrupted minutes back, and lets them go on', () => {
    const first = run(startMs)
    first.book(m0, 3)
    first.topology.advance(startMs + minuteMs + 31_000)
    first.book(m0 + 1, 4)
    first.topology.flush(startMs + minuteMs + 40_000)
    first.store.close()
    const second = run(startMs + minuteMs + 45_000)
    expect(second.loaded).toEqual({ loaded: 2, refused: 0 })
    expect(second.topology.closedMinute()).toBe(m0)
    expect([openedIn(second.topology, m0), openedIn(second.topology, m0 + 1)]).toEqual([3, 4])
    second.book(m0 + 1, 5)
    second.topology.advance(startMs + 2 * minuteMs + 31_000)
    expect(openedIn(second.topology, m0 + 1)).toBe(9)
    second.store.close()
    expect(openedIn(run(startMs + 3 * minuteMs).topology, m0 + 1)).toBe(9)
  })

  it('cuts a torn end off, counts it, and appends behind what is whole', () => {
    const first = run(startMs)
    for (let i = 0; i < 3; i++) {
      first.book(m0 + i, i + 1)
      first.topology.advance(startMs + (i + 1) * minuteMs + 31_000)
    }
    first.store.close()
    const [name] = readdirSync(directory)
    const path = join(directory, name)
    truncateSync(path, readFileSync(path).length - 5)
    const second = run(startMs + 4 * minuteMs)
    expect(second.loaded).toEqual({ loaded: 2, refused: 0 })
    expect(second.store.stats()).toMatchObject({ tornTails: 1, failures: 0 })
    second.book(m0 + 4, 7)
    second.topology.advance(startMs + 5 * minuteMs + 31_000)
    second.store.close()
    const third = run(startMs + 6 * minuteMs)
    expect(third.store.stats().tornTails).toBe(0)
    expect([0, 1, 2, 4].map(i => openedIn(third.topology, m0 + i))).toEqual([1, 2, 0, 7])
  })

  it('refuses damaged segments one by one, and leaves strange files alone', () => {
    const first = run(startMs)
    for (let i = 0; i < 2; i++) {
      first.book(m0 + i, i + 1)
      first.topology.advance(startMs + (i + 1) * minuteMs + 31_000)
    }
    first.store.close()
    const path = join(directory, readdirSync(directory)[0])
    const bytes = readFileSync(path)
    bytes[200] ^= 4
    writeFileSync(path, bytes)
    appendFileSync(join(directory, 'notes.txt'), 'mine')
    const second = run(startMs + 3 * minuteMs)
    expect(second.loaded).toEqual({ loaded: 1, refused: 1 })
    expect(second.topology.stats().refusedSegments).toEqual({ checksum: 1 })
    expect([openedIn(second.topology, m0), openedIn(second.topology, m0 + 1)]).toEqual([0, 2])
    second.store.prune(startMs + 3000 * minuteMs)
    expect(readdirSync(directory)).toEqual(['notes.txt', 'running'])
  })

  it('keeps single minutes until they are merged and old', () => {
    const t = run(startMs)
    for (let i = 0; i < 200; i++) {
      t.book(m0 + i, 1)
      t.topology.advance(startMs + (i + 1) * minuteMs + 31_000)
    }
    t.store.prune(startMs + 200 * minuteMs)
    const names = readdirSync(directory)
    expect(names).toContain(`merged-${m0}.seg`)
    expect(names).not.toContain(`minutes-${m0}.seg`)
    expect(names).toContain(`minutes-${m0 + 190}.seg`)
    t.store.close()
    const again = run(startMs + 201 * minuteMs)
    const query = { fromMs: startMs, toMs: startMs + 200 * minuteMs, groupBy: 'process' as const, limit: 10 }
    const answer = again.topology.topology(query, startMs + 201 * minuteMs)
    expect(answer.edges[0].tcp?.opened).toBe(200)
    expect(answer.completeness.missingMinutes).toBe(0)
  })
})
