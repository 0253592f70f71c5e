import { type LossPlace, lossPlaces } from '@skybraid/shared'
import type { IngestStatus } from './topology/answer.ts'

/** Books an amount, which may be negative, to a minute; the topology. */
export type BookLoss = (place: LossPlace, unixMinute: number, records: number) => void

interface Booked {
  total: number
  /** What was booked to which minute, newest last; a gap that fills later is taken back from there. */
  readonly minutes: { readonly minute: number; records: number }[]
}

/** How far back a loss can be taken back; the topology corrects no minute older than that. */
const memoryMinutes = 15

/**
 * Turns running totals of losses, per collector boot and of the aggregator itself, into amounts per minute, so that an
 * answer about a range says what was lost in that range.
 */
export class LossBooking {
  readonly #book: BookLoss
  #booked = new Map<string, Booked>()

  constructor(book: BookLoss) {
    this.#book = book
  }

  /** Books what changed since the last call. */
  update({ nodes, identity }: Pick<IngestStatus, 'nodes' | 'identity'>, nowMs: number): void {
    const minute = Math.floor(nowMs / 60_000)
    const known = this.#booked
    // boots that are no longer listed are forgotten; what they lost stays booked
    this.#booked = new Map()
    this.#follow(known, 'here', identity.lost, minute)
    for (const { node, bootId, identity: own } of nodes) {
      this.#follow(known, JSON.stringify([node, bootId]), own.records.lost, minute)
    }
  }

  #follow(
    known: ReadonlyMap<string, Booked>,
    whose: string,
    lost: Readonly<Record<string, number>>,
    minute: number,
  ): void {
    for (const place of Object.keys(lossPlaces) as LossPlace[]) {
      const key = `${whose} ${place}`
      const total = lost[place] ?? 0
      const booked = known.get(key) ?? (total === 0 ? undefined : { total: 0, minutes: [] })
      if (booked === undefined) continue
      this.#booked.set(key, booked)
      const change = total - booked.total
      booked.total = total
      if (change > 0) this.#add(booked, place, minute, change)
      else if (change < 0) this.#takeBack(booked, place, -change)
    }
  }

  #add({ minutes }: Booked, place: LossPlace, minute: number, records: number): void {
    this.#book(place, minute, records)
    const last = minutes.at(-1)
    if (last?.minute === minute) last.records += records
    else minutes.push({ minute, records })
    while (minutes[0]!.minute < minute - memoryMinutes) minutes.shift()
  }

  #takeBack({ minutes }: Booked, place: LossPlace, records: number): void {
    let rest = records
    for (let last = minutes.at(-1); last !== undefined && rest > 0; last = minutes.at(-1)) {
      const taken = Math.min(rest, last.records)
      this.#book(place, last.minute, -taken)
      last.records -= taken
      rest -= taken
      if (last.records === 0) minutes.pop()
    }
  }
}
