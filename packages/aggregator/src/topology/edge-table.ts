import type { EdgeId, EntityId } from './edge-book.ts'

const firstCapacity = 1024

/**
 * Edges interned to small integers: open addressing over typed arrays, at most half full. Also holds the gauges of
 * connections open right now, because they belong to an edge and to no minute.
 */
export interface EdgeTable {
  /** -1 when `maxEdges` are in use. */
  intern(
    client: EntityId,
    server: EntityId,
    protocol: number,
    port: number,
    via: EntityId,
    viaPort: number,
  ): EdgeId
  /**
   * As `intern`, quicker where edges come in about the same order time and again: looks first at the edge that followed
   * `previous` last time (-1 for none).
   */
  internAfter(
    previous: EdgeId,
    client: EntityId,
    server: EntityId,
    protocol: number,
    port: number,
    via: EntityId,
    viaPort: number,
  ): EdgeId
  /** Ids ever given are below this; ids of freed edges are given again. */
  readonly limit: number
  readonly inUse: number
  /** Freed ids given again since the last sweep, in that order: below `limit`, yet new. */
  readonly givenAgain: readonly EdgeId[]
  readonly client: Int32Array
  readonly server: Int32Array
  readonly via: Int32Array
  readonly port: Uint16Array
  readonly viaPort: Uint16Array
  /** 0 marks an id that is not in use. */
  readonly protocol: Uint8Array
  readonly openClient: Int32Array
  readonly openServer: Int32Array
  readonly openJoined: Int32Array
  /** Frees every edge that `isUsed` does not keep and that was not interned since the previous call. */
  sweep(isUsed: (edge: EdgeId) => boolean): number
}

interface Arrays {
  client: Int32Array
  server: Int32Array
  via: Int32Array
  port: Uint16Array
  viaPort: Uint16Array
  protocol: Uint8Array
  touched: Uint8Array
  /** Edge + 1 that was asked for after it last, see `internAfter`. */
  following: Uint32Array
  openClient: Int32Array
  openServer: Int32Array
  openJoined: Int32Array
}

export function createEdgeTable(maxEdges: number): EdgeTable {
  let a = emptyArrays(firstCapacity)
  let slots = new Int32Array(firstCapacity * 2)
  let mask = slots.length - 1
  let limit = 0
  const free: EdgeId[] = []
  let givenAgain: EdgeId[] = []

  function slotOf(
    client: number,
    server: number,
    protocol: number,
    port: number,
    via: number,
    viaPort: number,
  ): number {
    let at = hashEdge(client, server, protocol, port, via ^ (viaPort << 8)) & mask
    for (;;) {
      const edge = slots[at] - 1
      if (edge < 0 || isEdge(edge, client, server, protocol, port, via, viaPort)) return at
      at = (at + 1) & mask
    }
  }

  function isEdge(
    edge: EdgeId,
    client: number,
    server: number,
    protocol: number,
    port: number,
    via: number,
    viaPort: number,
  ): boolean {
    return (
      a.client[edge] === client &&
      a.server[edge] === server &&
      a.port[edge] === port &&
      a.protocol[edge] === protocol &&
      a.via[edge] === via &&
      a.viaPort[edge] === viaPort
    )
  }

  function intern(
    client: number,
    server: number,
    protocol: number,
    port: number,
    via: number,
    viaPort: number,
  ): EdgeId {
    const edge = slots[slotOf(client, server, protocol, port, via, viaPort)] - 1
    if (edge < 0) return add(client, server, protocol, port, via, viaPort)
    a.touched[edge] = 1
    return edge
  }

  function slotOfEdge(e: EdgeId): number {
    return slotOf(a.client[e], a.server[e], a.protocol[e], a.port[e], a.via[e], a.viaPort[e])
  }

  function rehash(capacity: number): void {
    slots = new Int32Array(capacity)
    mask = capacity - 1
    for (let e = 0; e < limit; e++) if (a.protocol[e] !== 0) slots[slotOfEdge(e)] = e + 1
  }

  function add(
    client: number,
    server: number,
    protocol: number,
    port: number,
    via: number,
    viaPort: number,
  ): EdgeId {
    if (free.length === 0 && limit >= maxEdges) return -1
    if (free.length === 0 && limit === a.client.length) {
      a = grownArrays(a)
      rehash(slots.length * 2)
    }
    const reused = free.pop()
    if (reused !== undefined) givenAgain.push(reused)
    const edge = reused ?? limit++
    a.client[edge] = client
    a.server[edge] = server
    a.via[edge] = via
    a.port[edge] = port
    a.viaPort[edge] = viaPort
    a.protocol[edge] = protocol
    a.touched[edge] = 1
    slots[slotOfEdge(edge)] = edge + 1
    return edge
  }

  return {
    get limit() {
      return limit
    },
    get inUse() {
      return limit - free.length
    },
    get givenAgain() {
      return givenAgain
    },
    get client() {
      return a.client
    },
    get server() {
      return a.server
    },
    get via() {
      return a.via
    },
    get port() {
      return a.port
    },
    get viaPort() {
      return a.viaPort
    },
    get protocol() {
      return a.protocol
    },
    get openClient() {
      return a.openClient
    },
    get openServer() {
      return a.openServer
    },
    get openJoined() {
      return a.openJoined
    },
    intern,
    internAfter(previous, client, server, protocol, port, via, viaPort) {
      const guess = previous < 0 ? -1 : a.following[previous] - 1
      if (guess >= 0 && isEdge(guess, client, server, protocol, port, via, viaPort)) {
        a.touched[guess] = 1
        return guess
      }
      const edge = intern(client, server, protocol, port, via, viaPort)
      if (previous >= 0 && edge >= 0) a.following[previous] = edge + 1
      return edge
    },
    sweep(isUsed) {
      let freed = 0
      givenAgain = []
      for (let e = 0; e < limit; e++) {
        if (a.protocol[e] === 0) continue
        const isOpen = a.openClient[e] !== 0 || a.openServer[e] !== 0 || a.openJoined[e] !== 0
        if (a.touched[e] !== 0 || isOpen || isUsed(e)) continue
        a.protocol[e] = 0
        free.push(e)
        freed++
      }
      a.touched.fill(0)
      if (freed > 0) rehash(slots.length)
      return freed
    },
  }
}

function emptyArrays(capacity: number): Arrays {
  return {
    client: new Int32Array(capacity),
    server: new Int32Array(capacity),
    via: new Int32Array(capacity),
    port: new Uint16Array(capacity),
    viaPort: new Uint16Array(capacity),
    protocol: new Uint8Array(capacity),
    touched: new Uint8Array(capacity),
    following: new Uint32Array(capacity),
    openClient: new Int32Array(capacity),
    openServer: new Int32Array(capacity),
    openJoined: new Int32Array(capacity),
  }
}

function grownArrays(old: Arrays): Arrays {
  const grown = emptyArrays(old.client.length * 2)
  for (const name of Object.keys(grown) as (keyof Arrays)[]) grown[name].set(old[name])
  return grown
}

function hashEdge(client: number, server: number, protocol: number, port: number, via: number): number {
  let h = Math.imul(client, 0x9e3779b1) ^ Math.imul(server, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 15) ^ (port << 2) ^ protocol, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 13) ^ via, 0x27d4eb2f)
  return h ^ (h >>> 16)
}
