import { mix } from './chance.ts'
import { EdgeKind, type MapEdge } from './map.ts'

const segmentBytes = 1_448

/** Live connections as columns; a slot is used again after its end. Times in Unix milliseconds. */
export class Connections {
  edge = new Int32Array(1024)
  serial = new Float64Array(1024)
  diallerIsn = new Uint32Array(1024)
  acceptorIsn = new Uint32Array(1024)
  openedMs = new Float64Array(1024)
  closeMs = new Float64Array(1024)
  /** When each end was read last: client's at 2 × slot, server's after it. */
  readMs = new Float64Array(2048)
  /** Announced last. */
  toldMs = new Float64Array(2048)
  #free: number[] = []
  #size = 0
  live = 0

  take(edge: number, serial: number, seed: number, openedMs: number, closeMs: number): number {
    const slot = this.#free.pop() ?? this.#size++
    if (slot >= this.edge.length) this.#grow()
    this.edge[slot] = edge
    this.serial[slot] = serial
    // unlike for as long as anybody remembers: the serial itself, scattered
    this.diallerIsn[slot] = mixIsn(serial, seed)
    this.acceptorIsn[slot] = mixIsn(serial, seed + 1)
    this.openedMs[slot] = openedMs
    this.closeMs[slot] = closeMs
    this.readMs.fill(openedMs, 2 * slot, 2 * slot + 2)
    this.toldMs.fill(openedMs, 2 * slot, 2 * slot + 2)
    this.live++
    return slot
  }

  give(slot: number): void {
    this.edge[slot] = -1
    this.live--
    this.#free.push(slot)
  }

  #grow(): void {
    const length = 2 * this.edge.length
    this.edge = enlarge(this.edge, new Int32Array(length))
    this.serial = enlarge(this.serial, new Float64Array(length))
    this.diallerIsn = enlarge(this.diallerIsn, new Uint32Array(length))
    this.acceptorIsn = enlarge(this.acceptorIsn, new Uint32Array(length))
    this.openedMs = enlarge(this.openedMs, new Float64Array(length))
    this.closeMs = enlarge(this.closeMs, new Float64Array(length))
    this.readMs = enlarge(this.readMs, new Float64Array(2 * length))
    this.toldMs = enlarge(this.toldMs, new Float64Array(2 * length))
  }
}

function enlarge<A extends Int32Array | Uint32Array | Float64Array>(from: A, to: A): A {
  to.set(from)
  return to
}

/** A permutation of the 32-bit numbers: no two serials below 2^32 share one. */
function mixIsn(serial: number, seed: number): number {
  return (Math.imul(serial, 0x9e3779b1) + Math.imul(seed, 0x85ebca6b)) >>> 0
}

/** What a connection has moved by a time: the totals of both ends, which agree at any moment but for lost segments. */
export interface Totals {
  steps: number
  clientBytes: number
  serverBytes: number
  clientSegments: number
  serverSegments: number
  lost: number
}

const wanted = { idle: 0, chunk: 0, loss: 0 }

/** Fills `totals`; reused, because a million connections are read every ten seconds. */
export function totalsAt(
  edge: MapEdge,
  serial: number,
  seed: number,
  elapsedMs: number,
  totals: Totals,
): void {
  behaviour(serial, seed)
  // the first step happens at once, so that short connections move something too
  const steps = wanted.idle === 1 && edge.kind === EdgeKind.tcp ? 1 : 1 + Math.floor(elapsedMs / 250)
  const serverChunk = 3 * wanted.chunk + 40
  totals.steps = steps
  totals.clientBytes = steps * wanted.chunk
  totals.serverBytes = steps * serverChunk
  totals.clientSegments = steps * Math.ceil(wanted.chunk / segmentBytes)
  totals.serverSegments = steps * Math.ceil(serverChunk / segmentBytes)
  totals.lost = wanted.loss > 0 ? Math.floor(steps / wanted.loss) : 0
}

function behaviour(serial: number, seed: number): void {
  const h = mix(serial, seed)
  wanted.idle = (h & 15) === 0 ? 1 : 0
  wanted.chunk = 1 + ((h >>> 4) % 2_000)
  wanted.loss = ((h >>> 16) & 7) === 0 ? 1 + ((h >>> 20) & 7) : 0
}
