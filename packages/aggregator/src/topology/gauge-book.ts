import type { EdgeId } from './edge-book.ts'
import type { EdgeTable } from './edge-table.ts'
import type { OpenGauges } from './segment.ts'

export type GaugeSide = 'client' | 'server' | 'joined'

/**
 * Connections that one partition has open, by edge; the table of edges holds the sums over partitions. A change belongs
 * to a minute, so that it can still be said what was open at the end of one when later ones are known already.
 */
export interface GaugeBook {
  /** Without a minute the change is as old as anything that is asked about. */
  add(edge: EdgeId, side: GaugeSide, change: number, minute: number | undefined): void
  /** What was open at the end of a minute that was not forgotten. */
  atEndOf(minute: number): OpenGauges
  /** Nobody asks any more about this minute and those before it. */
  forget(throughMinute: number): void
  /** Takes everything out of the sums until it is told otherwise: another book shows the same connections. */
  mute(isMuted: boolean): void
  /** Takes everything back from the sums. */
  clear(): void
  /** Grows with every change. */
  readonly touches: number
}

type Columns = Record<GaugeSide, Int32Array>

const firstLength = 256
/** Clocks that are wrong may name any minute; changes of more minutes than these count at once. */
const mostMinutes = 32

export function createGaugeBook(edges: EdgeTable): GaugeBook {
  let own = emptyColumns(firstLength)
  /** Changes that are in `own`, by their minute, of minutes that can still be asked about. */
  const recent = new Map<number, Columns>()
  let lastMinute: number | undefined
  let last: Columns | undefined
  let touches = 0
  let isMuted = false

  function recentOf(minute: number): Columns | undefined {
    const known = recent.get(minute)
    if (known !== undefined || recent.size >= mostMinutes) return known
    const fresh = emptyColumns(own.client.length)
    recent.set(minute, fresh)
    return fresh
  }

  function note(edge: EdgeId, side: GaugeSide, change: number, minute: number): void {
    if (minute !== lastMinute || last === undefined) {
      last = recentOf(minute)
      lastMinute = minute
    }
    if (last === undefined) return
    if (edge >= last.client.length) {
      last = grown(last, own.client.length)
      recent.set(minute, last)
    }
    last[side][edge] += change
  }

  function without(minute: number): Columns {
    const later = [...recent].filter(([of]) => of > minute)
    if (later.length === 0) return own
    const columns = grown(own, own.client.length)
    for (const [, changes] of later)
      for (const side of sides) {
        const [from, change] = [columns[side], changes[side]]
        for (let e = 0; e < change.length; e++) from[e] -= change[e]
      }
    return columns
  }

  function addOwn(sign: 1 | -1): void {
    for (const side of sides) {
      const sum = sumOf(edges, side)
      for (let e = 0; e < own[side].length; e++) if (own[side][e] !== 0) sum[e] += sign * own[side][e]
    }
  }

  return {
    add(edge, side, change, minute) {
      touches++
      if (edge >= own.client.length) own = grown(own, Math.max(own.client.length * 2, edge + 1))
      own[side][edge] += change
      if (!isMuted) sumOf(edges, side)[edge] += change
      if (minute !== undefined) note(edge, side, change, minute)
    },
    atEndOf(minute) {
      const { client, server, joined } = without(minute)
      const ids: EdgeId[] = []
      for (let e = 0; e < client.length; e++) if (client[e] > 0 || server[e] > 0 || joined[e] > 0) ids.push(e)
      const column = (of: Int32Array) => Uint32Array.from(ids, e => Math.max(0, of[e]))
      return {
        edges: Uint32Array.from(ids),
        client: column(client),
        server: column(server),
        joined: column(joined),
      }
    },
    forget(throughMinute) {
      for (const minute of recent.keys()) if (minute <= throughMinute) recent.delete(minute)
      last = undefined
    },
    mute(muted) {
      if (muted === isMuted) return
      touches++
      isMuted = muted
      addOwn(muted ? -1 : 1)
    },
    clear() {
      touches++
      recent.clear()
      last = undefined
      if (!isMuted) addOwn(-1)
      own = emptyColumns(firstLength)
    },
    get touches() {
      return touches
    },
  }
}

function sumOf(edges: EdgeTable, side: GaugeSide): Int32Array {
  return side === 'joined' ? edges.openJoined : side === 'client' ? edges.openClient : edges.openServer
}

const sides: readonly GaugeSide[] = ['client', 'server', 'joined']

function grown(columns: Columns, length: number): Columns {
  const larger = emptyColumns(length)
  for (const side of sides) larger[side].set(columns[side])
  return larger
}

function emptyColumns(length: number): Columns {
  return {
    client: new Int32Array(length),
    server: new Int32Array(length),
    joined: new Int32Array(length),
  }
}
