import { minuteOf } from './connection-store.ts'

/** A stretch of a flow's totals that no record covers: known in bytes, and in time by its neighbours. */
interface Hole {
  fromSent: number
  toSent: number
  fromReceived: number
  toReceived: number
  fromMs: number
  toMs: number
  readonly detectedMs: number
  /** Where the flow's totals begin is not known yet (adopted, first record still to come): no extent. */
  unknownStart: boolean
  booked: boolean
}

/** Where final holes are booked; a negative amount takes back. */
export type BookMissing = (flow: number, unixMinute: number, bytes: number) => void

/** One record's place in its flow's totals. */
export interface Reading {
  flow: number
  sent: number
  received: number
  deltaSent: number
  deltaReceived: number
  atMs: number
}

const finalAfterMs = 120_000

/**
 * Finds what never arrived. The records of a flow tile its cumulative totals; a stretch that none covers is a hole.
 * It is booked once it is two minutes old, evenly over the minutes that it spans, and taken back as far as the missing
 * records come after all. The same set of records gives the same holes, in whatever order they came.
 * At most `maxHoles` are followed; beyond that a new one is booked at once, for good.
 */
export class MissingBytes {
  readonly #holes = new Map<number, Hole[]>()
  readonly #pending = new Set<Hole>()
  readonly #flowOf = new Map<Hole, number>()
  readonly #book: BookMissing
  readonly #maxHoles: number

  constructor(book: BookMissing, maxHoles = 65_536) {
    this.#book = book
    this.#maxHoles = maxHoles
  }

  get size(): number {
    return this.#flowOf.size
  }

  /** The totals begin somewhere before the flow's first record that came. */
  beginUnknown(reading: Reading, nowMs: number): void {
    const { sent, received, deltaSent, deltaReceived, atMs } = reading
    this.#add(reading.flow, {
      fromSent: 0,
      toSent: sent - deltaSent,
      fromReceived: 0,
      toReceived: received - deltaReceived,
      fromMs: atMs,
      toMs: atMs,
      detectedMs: nowMs,
      unknownStart: true,
      booked: false,
    })
  }

  /** The beginning has become known: 0 and 0 for a flow that was opened. */
  begin(flow: number, sent: number, received: number, openedMs: number): void {
    const hole = this.#holes.get(flow)?.find(h => h.unknownStart)
    if (hole === undefined) return
    hole.unknownStart = false
    hole.fromSent = Math.min(sent, hole.toSent)
    hole.fromReceived = Math.min(received, hole.toReceived)
    hole.fromMs = Math.min(openedMs, hole.toMs)
    if (isEmpty(hole)) this.#drop(flow, hole)
  }

  /** The totals jumped by more than the record's deltas, from what was known at `fromMs`. */
  jump(reading: Reading, fromSent: number, fromReceived: number, fromMs: number, nowMs: number): void {
    const hole: Hole = {
      fromSent,
      toSent: Math.max(fromSent, reading.sent - reading.deltaSent),
      fromReceived,
      toReceived: Math.max(fromReceived, reading.received - reading.deltaReceived),
      fromMs: Math.min(fromMs, reading.atMs),
      toMs: reading.atMs,
      detectedMs: nowMs,
      unknownStart: false,
      booked: false,
    }
    if (!isEmpty(hole)) this.#add(reading.flow, hole)
  }

  /** A record within what was known: fills (part of) a hole, if there is one. */
  fill(reading: Reading): void {
    const holes = this.#holes.get(reading.flow)
    if (holes === undefined) return
    const hole = holes.find(h => covers(h, reading))
    if (hole === undefined) return
    const before = { ...hole, toMs: Math.min(hole.toMs, reading.atMs) }
    before.toSent = reading.sent - reading.deltaSent
    before.toReceived = reading.received - reading.deltaReceived
    const after = { ...hole, fromSent: reading.sent, fromReceived: reading.received, unknownStart: false }
    after.fromMs = Math.max(hole.fromMs, reading.atMs)
    this.#drop(reading.flow, hole)
    if (before.unknownStart || !isEmpty(before)) this.#add(reading.flow, { ...before, booked: false })
    if (!isEmpty(after)) this.#add(reading.flow, { ...after, booked: false })
    if (hole.booked) this.settle(hole.detectedMs + finalAfterMs)
  }

  /** Books the holes that have become final. */
  settle(nowMs: number): void {
    for (const hole of this.#pending) {
      if (hole.unknownStart || nowMs - hole.detectedMs < finalAfterMs) continue
      this.#bookHole(hole, 1)
    }
  }

  /** The flow is forgotten: what is still missing of it is final. */
  forget(flow: number): void {
    const holes = this.#holes.get(flow)
    if (holes === undefined) return
    for (const hole of holes) {
      if (!hole.unknownStart && !hole.booked) this.#bookHole(hole, 1)
      this.#pending.delete(hole)
      this.#flowOf.delete(hole)
    }
    this.#holes.delete(flow)
  }

  /** A flow got another number. */
  move(from: number, to: number): void {
    const holes = this.#holes.get(from)
    if (holes === undefined) return
    this.#holes.delete(from)
    this.#holes.set(to, holes)
    for (const hole of holes) this.#flowOf.set(hole, to)
  }

  #add(flow: number, hole: Hole): void {
    if (this.#flowOf.size >= this.#maxHoles) {
      if (!hole.unknownStart) spread(hole, (minute, bytes) => this.#book(flow, minute, bytes))
      return
    }
    const holes = this.#holes.get(flow)
    if (holes === undefined) this.#holes.set(flow, [hole])
    else holes.push(hole)
    this.#flowOf.set(hole, flow)
    this.#pending.add(hole)
  }

  #drop(flow: number, hole: Hole): void {
    if (hole.booked) this.#bookHole(hole, -1)
    this.#pending.delete(hole)
    this.#flowOf.delete(hole)
    const holes = this.#holes.get(flow)
    if (holes === undefined) return
    holes.splice(holes.indexOf(hole), 1)
    if (holes.length === 0) this.#holes.delete(flow)
  }

  #bookHole(hole: Hole, sign: 1 | -1): void {
    const flow = this.#flowOf.get(hole)
    if (flow === undefined) return
    spread(hole, (minute, bytes) => this.#book(flow, minute, sign * bytes))
    hole.booked = sign === 1
    if (hole.booked) this.#pending.delete(hole)
  }
}

function bytesOf(hole: Hole): number {
  return hole.toSent - hole.fromSent + hole.toReceived - hole.fromReceived
}

function isEmpty(hole: Hole): boolean {
  return bytesOf(hole) <= 0
}

function covers(hole: Hole, reading: Reading): boolean {
  const { sent, received, deltaSent, deltaReceived } = reading
  if (sent > hole.toSent || received > hole.toReceived) return false
  if (hole.unknownStart) return true
  return sent - deltaSent >= hole.fromSent && received - deltaReceived >= hole.fromReceived
}

/** Whole bytes to each minute, what is left over to the last one. */
function spread(hole: Hole, book: (minute: number, bytes: number) => void): void {
  const first = minuteOf(hole.fromMs)
  const minutes = minuteOf(hole.toMs) - first + 1
  const bytes = bytesOf(hole)
  if (minutes <= 1 || minutes > 24 * 60) {
    book(minuteOf(hole.toMs), bytes)
    return
  }
  const each = Math.floor(bytes / minutes)
  for (let i = 0; i < minutes - 1; i++) if (each > 0) book(first + i, each)
  book(first + minutes - 1, bytes - each * (minutes - 1))
}
