import type { EdgeId } from './edge-book.ts'
import type { EdgeTable } from './edge-table.ts'
import type { OpenGauges } from './segment.ts'

export type GaugeSide = 'client' | 'server' | 'joined'

/** Connections that one partition has open right now, by edge; the table of edges holds the sums over partitions. */
export interface GaugeBook {
  add(edge: EdgeId, side: GaugeSide, change: number): void
  now(): OpenGauges
  /** Takes everything back from the sums. */
  clear(): void
  /** Grows with every change. */
  readonly touches: number
}

const firstLength = 256

export function createGaugeBook(edges: EdgeTable): GaugeBook {
  let own = emptyColumns(firstLength)
  let touches = 0

  function growTo(edge: EdgeId): void {
    const larger = emptyColumns(Math.max(own.client.length * 2, edge + 1))
    larger.client.set(own.client)
    larger.server.set(own.server)
    larger.joined.set(own.joined)
    own = larger
  }

  return {
    add(edge, side, change) {
      touches++
      if (edge >= own.client.length) growTo(edge)
      own[side][edge] += change
      sumOf(edges, side)[edge] += change
    },
    now() {
      const { client, server, joined } = own
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
    clear() {
      touches++
      for (const side of ['client', 'server', 'joined'] as const) {
        const sum = sumOf(edges, side)
        for (let e = 0; e < own[side].length; e++) if (own[side][e] !== 0) sum[e] -= own[side][e]
      }
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

function emptyColumns(length: number) {
  return {
    client: new Int32Array(length),
    server: new Int32Array(length),
    joined: new Int32Array(length),
  }
}
