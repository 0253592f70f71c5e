import { minuteOf } from './connection-store.ts'

/** A stretch of a flow's totals: known in bytes, and in time by the readings around it. */
export interface Stretch {
  readonly fromSent: number
  readonly toSent: number
  readonly fromReceived: number
  readonly toReceived: number
  readonly fromMs: number
  readonly toMs: number
}

/** A stretch that no record covers. */
interface Hole extends Stretch {
  readonly detectedMs: number
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

  /** Bytes that a flow's holes span: sent, then received. */
  extent(flow: number): readonly [number, number] {
    let sent = 0
    let received = 0
    for (const hole of this.#holes.get(flow) ?? []) {
      sent += hole.toSent - hole.fromSent
      received += hole.toReceived - hole.fromReceived
    }
    return [sent, received]
  }

  /** A stretch before what was known turned out to be part of the flow. */
  open(flow: number, stretch: Stretch, nowMs: number): void {
    const fromMs = Math.min(stretch.fromMs, stretch.toMs)
    const hole: Hole = { ...stretch, fromMs, detectedMs: nowMs, booked: false }
    if (!isEmpty(hole)) this.#add(flow, hole)
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
      booked: false,
    }
    if (!isEmpty(hole)) this.#add(reading.flow, hole)
  }

  /** A record within what was known: fills (part of) a hole. False if it is in none. */
  fill(reading: Reading): boolean {
    const hole = this.#holes.get(reading.flow)?.find(each => covers(each, reading))
    if (hole === undefined) return false
    const before: Hole = {
      ...hole,
      booked: false,
      toSent: reading.sent - reading.deltaSent,
      toReceived: reading.received - reading.deltaReceived,
      toMs: Math.max(hole.fromMs, Math.min(hole.toMs, reading.atMs)),
    }
    const after: Hole = {
      ...hole,
      booked: false,
      fromSent: reading.sent,
      fromReceived: reading.received,
      fromMs: Math.min(hole.toMs, Math.max(hole.fromMs, reading.atMs)),
    }
    this.#drop(reading.flow, hole)
    if (!isEmpty(before)) this.#add(reading.flow, before)
    if (!isEmpty(after)) this.#add(reading.flow, after)
    if (hole.booked) this.settle(hole.detectedMs + finalAfterMs)
    return true
  }

  /** Books the holes that have become final. */
  settle(nowMs: number): void {
    for (const hole of this.#pending) {
      if (nowMs - hole.detectedMs < finalAfterMs) continue
      this.#bookHole(hole, 1)
    }
  }

  /** Something of the flow is missing that is not booked yet. */
  awaits(flow: number): boolean {
    return this.#holes.get(flow)?.some(hole => !hole.booked) ?? false
  }

  /** The flow is forgotten: what is still missing of it is final. */
  forget(flow: number): void {
    const holes = this.#holes.get(flow)
    if (holes === undefined) return
    for (const hole of holes) {
      if (!hole.booked) this.#bookHole(hole, 1)
      this.#pending.delete(hole)
      this.#flowOf.delete(hole)
    }
    this.#holes.delete(flow)
  }

  /** The flow turned out to be another one, which follows its own totals: takes everything back. */
  discard(flow: number): void {
    for (const hole of [...(this.#holes.get(flow) ?? [])]) this.#drop(flow, hole)
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
      spread(hole, (minute, bytes) => this.#book(flow, minute, bytes))
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
