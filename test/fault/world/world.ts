import { mix } from './chance.ts'
import { Connections } from './connections.ts'
import { FrameWriter } from './frame-writer.ts'
import { createMap, EdgeKind, type MapSettings, type WorldMap } from './map.ts'
import { RecordScribe, What } from './record-scribe.ts'
import { createTruthBook, type Told, tellTruth } from './truth-book.ts'

export interface WorldSettings extends MapSettings {
  readonly seed: number
  readonly partitions: number
  readonly flushMs: number
  readonly reportMs: number
  readonly announceMs: number
  /** Unix milliseconds; on a whole flush. */
  readonly startMs: number
  /** Connections that stay open, opened over the first seconds. */
  readonly longLived: number
  /** Connections a second that open and close again. */
  readonly shortPerSecond: number
  readonly udpPerSecond: number
  readonly outsidePerSecond: number
  /** Dials a second that fail: without an answer, and half open at a listener. */
  readonly failedPerSecond: number
}

/** A flush of every node, by its number. */
export type Flushes = readonly ArrayBuffer[]

/**
 * Invents connections between nodes and says what each node's collector would hand over, flush by flush: the same for
 * the same settings. Remembers what every edge must show in every minute. Time comes in.
 */
export interface World {
  readonly map: WorldMap
  readonly settings: WorldSettings
  /** Records that each node has handed over. */
  readonly records: Float64Array
  readonly live: () => number
  /** Where the next flush begins. */
  atMs(): number
  /** Everything of the next flush interval. */
  flush(): Flushes
  /** A node's records are split otherwise from a minute on, as the addon is told. */
  splitFrom(node: number, first: number, partitions: number, fromMinute: number): void
  /** Nothing new from now on; what is short ends, what is long stays open and moves nothing. */
  calm(): void
  truth(): Told
  /** Names that edges may have while only one of their ends is known. */
  readonly oneSided: readonly string[]
  /** What the comparison of both ends must come to over all minutes, from client to server. */
  segments(): { readonly compared: number; readonly lost: number }
}

const rampMs = 4_000

/** What happens at a steady rate. */
interface Stream {
  readonly perSecond: number
  readonly most: number
  begin(serial: number, atMs: number): void
  done: number
}

export function createWorld(settings: WorldSettings): World {
  const { seed, flushMs, reportMs, startMs } = settings
  if (60_000 % flushMs !== 0 || startMs % flushMs !== 0 || reportMs % flushMs !== 0)
    throw new RangeError('a world goes by whole flushes')
  const map = createMap(settings)
  const pool = new Connections()
  const book = createTruthBook(map.edges.length)
  const writer = new FrameWriter(settings.partitions)
  const splits = map.nodes.map(() => [{ first: 0, partitions: settings.partitions, fromMinute: 0 }])
  const records = new Float64Array(map.nodes.length)
  const scribe = new RecordScribe(settings, map, pool, book, writer)
  const work: number[][] = map.nodes.map(() => [])
  const closing = new Map<number, number[]>()
  /** Ends by when they are read: code and serial in turn, so that one that is gone is told. */
  const readings: number[][] = Array.from({ length: reportMs / flushMs }, () => [])
  let ended: number[] = []
  let serials = 0
  let atMs = startMs
  let calmed = false

  function add(slot: number, side: number, what: number): void {
    const edge = map.edges[pool.edge[slot]]
    const node = side === 0 ? edge.client : edge.server
    if (node >= 0) work[node].push((2 * slot + side) * What.count + what)
  }

  function addBoth(slot: number, what: number): void {
    add(slot, 0, what)
    add(slot, 1, what)
  }

  function edgeOf(kind: number, serial: number): number {
    const edges = map.ofKind[kind]
    return edges[mix(serial, seed + 7) % edges.length]
  }

  function open(kind: number, serial: number, openedMs: number, lastsMs: number): void {
    const closeMs = openedMs + lastsMs
    const slot = pool.take(edgeOf(kind, serial), serial, seed, openedMs, closeMs)
    if (closeMs < atMs + flushMs) {
      addBoth(slot, What.openAndClose)
      ended.push(slot)
      return
    }
    addBoth(slot, What.open)
    if (lastsMs !== Number.POSITIVE_INFINITY) {
      const at = Math.floor((closeMs - startMs) / flushMs)
      const known = closing.get(at)
      if (known === undefined) closing.set(at, [slot])
      else known.push(slot)
    }
    if (lastsMs < reportMs) return
    for (let side = 0; side < 2; side++) {
      readings[mix(serial, seed + side) % readings.length].push(2 * slot + side, serial)
    }
  }

  function fail(kind: number, serial: number, openedMs: number): void {
    const slot = pool.take(edgeOf(kind, serial), serial, seed, openedMs, openedMs)
    add(slot, 0, What.fail)
    if (kind === EdgeKind.tcp) add(slot, 1, What.halfOpen)
    ended.push(slot)
  }

  const streams: Stream[] = [
    {
      perSecond: (settings.longLived * 1_000) / rampMs,
      most: settings.longLived,
      begin: (serial, ms) => open(EdgeKind.tcp, serial, ms, Number.POSITIVE_INFINITY),
      done: 0,
    },
    {
      perSecond: settings.shortPerSecond,
      most: Number.POSITIVE_INFINITY,
      begin: (serial, ms) => open(EdgeKind.tcp, serial, ms, lasting(mix(serial, seed + 3))),
      done: 0,
    },
    {
      perSecond: settings.udpPerSecond,
      most: Number.POSITIVE_INFINITY,
      begin: (serial, ms) => open(EdgeKind.udp, serial, ms, lasting(mix(serial, seed + 3))),
      done: 0,
    },
    {
      perSecond: settings.outsidePerSecond,
      most: Number.POSITIVE_INFINITY,
      begin: (serial, ms) => open(EdgeKind.outside, serial, ms, lasting(mix(serial, seed + 3))),
      done: 0,
    },
    {
      perSecond: settings.failedPerSecond,
      most: Number.POSITIVE_INFINITY,
      begin: (serial, ms) => fail(serial % 2 === 0 ? EdgeKind.unanswered : EdgeKind.tcp, serial, ms),
      done: 0,
    },
  ]

  function beginNew(toMs: number): void {
    for (const stream of streams) {
      if (stream.perSecond <= 0) continue
      for (; stream.done < stream.most; stream.done++) {
        const ms = startMs + Math.floor((stream.done * 1_000) / stream.perSecond)
        if (ms >= toMs) break
        stream.begin(++serials, Math.max(ms, atMs))
      }
    }
  }

  function closeDue(): void {
    const index = Math.floor((atMs - startMs) / flushMs)
    for (const slot of closing.get(index) ?? []) {
      addBoth(slot, What.close)
      ended.push(slot)
    }
    closing.delete(index)
  }

  /** Looks at the ends whose turn it is, at the end of a minute at all; drops those that are gone. */
  function readDue(isMinuteEnd: boolean): void {
    const turn = Math.floor((atMs - startMs) / flushMs) % readings.length
    for (let phase = 0; phase < readings.length; phase++) {
      if (phase !== turn && !isMinuteEnd) continue
      const list = readings[phase]
      let kept = 0
      for (let i = 0; i < list.length; i += 2) {
        const slot = list[i] >>> 1
        if (pool.edge[slot] < 0 || pool.serial[slot] !== list[i + 1]) continue
        list[kept++] = list[i]
        list[kept++] = list[i + 1]
        const isFresh = pool.openedMs[slot] >= atMs || pool.closeMs[slot] < atMs + flushMs
        if (!isFresh) add(slot, list[i] & 1, What.read)
      }
      list.length = kept
    }
  }

  return {
    map,
    settings,
    records,
    live: () => pool.live,
    atMs: () => atMs,
    flush() {
      const toMs = atMs + flushMs
      const isMinuteEnd = toMs % 60_000 === 0
      closeDue()
      if (!calmed) beginNew(toMs)
      readDue(isMinuteEnd)
      const baseMs = Math.floor(atMs / 60_000) * 60_000
      const flushes = work.map((list, node) => {
        const minute = baseMs / 60_000
        writer.splitAs(splits[node].findLast(({ fromMinute }) => fromMinute <= minute)!)
        writer.begin(map.owners[node], baseMs, toMs)
        records[node] += scribe.write(list, baseMs, toMs - 1)
        list.length = 0
        return writer.end(isMinuteEnd)
      })
      for (const slot of ended) pool.give(slot)
      ended = []
      atMs = toMs
      return flushes
    },
    splitFrom(node, first, partitions, fromMinute) {
      splits[node] = [
        ...splits[node].filter(split => split.fromMinute < fromMinute),
        { first, partitions, fromMinute },
      ]
    },
    calm() {
      calmed = true
      scribe.calmMs = Math.min(scribe.calmMs, atMs)
    },
    oneSided: map.edges.flatMap(edge => edge.oneSided),
    segments: () => ({ ...scribe.segments }),
    truth: () =>
      tellTruth(
        book,
        map.edges.map(edge => edge.name),
      ),
  }
}

/** Most are short; one in sixteen is read a few times. */
function lasting(h: number): number {
  return (h & 15) === 0 ? 5_000 + ((h >>> 4) % 40_000) : 10 + ((h >>> 4) % 3_000)
}
