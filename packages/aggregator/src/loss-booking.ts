import { type LossPlace, lossPlaces } from '@skybraid/shared'

/** Books an amount, which may be negative, to a minute; the topology. */
export type BookLoss = (place: LossPlace, unixMinute: number, records: number) => void

interface Booked {
  total: number
  /** What was booked to which minute, newest last; a gap that fills later is taken back from there. */
  readonly minutes: { readonly minute: number; records: number }[]
}

/** What is booked of one place of somebody, in a form that can be written and read back. */
export interface BookedState {
  readonly whose: string
  readonly place: string
  readonly total: number
  readonly minutes: readonly (readonly [number, number])[]
}

/** How far back a loss can be taken back; the topology corrects no minute older than that. */
const memoryMinutes = 15

/**
 * Turns running totals of losses, per collector boot and of the aggregator itself, into amounts per minute, so that an
 * answer about a range says what was lost in that range.
 */
export class LossBooking {
  readonly #book: BookLoss
  readonly #booked = new Map<string, Map<LossPlace, Booked>>()

  constructor(book: BookLoss) {
    this.#book = book
  }

  /** Books what changed of somebody's totals since the last call. */
  follow(whose: string, lost: Readonly<Record<string, number>>, nowMs: number): void {
    const minute = Math.floor(nowMs / 60_000)
    const known = this.#booked.get(whose) ?? new Map<LossPlace, Booked>()
    for (const place of Object.keys(lossPlaces) as LossPlace[]) {
      const total = lost[place] ?? 0
      const booked = known.get(place) ?? (total === 0 ? undefined : { total: 0, minutes: [] })
      if (booked === undefined) continue
      known.set(place, booked)
      const change = total - booked.total
      booked.total = total
      if (change > 0) this.#add(booked, place, minute, change)
      else if (change < 0) this.#takeBack(booked, place, -change)
    }
    if (known.size > 0) this.#booked.set(whose, known)
  }

  /** Takes totals as they are: what changed since the last call is booked by somebody else. */
  note(whose: string, lost: Readonly<Record<string, number>>): void {
    const known = this.#booked.get(whose) ?? new Map<LossPlace, Booked>()
    for (const place of Object.keys(lossPlaces) as LossPlace[]) {
      const total = lost[place] ?? 0
      const booked = known.get(place)
      if (booked) booked.total = total
      else if (total !== 0) known.set(place, { total, minutes: [] })
    }
    if (known.size > 0) this.#booked.set(whose, known)
  }

  /** Nothing more is heard of somebody; what was lost stays booked. */
  forget(whose: string): void {
    this.#booked.delete(whose)
  }

  state(): BookedState[] {
    return [...this.#booked].flatMap(([whose, places]) =>
      [...places].map(([place, { total, minutes }]) => ({
        whose,
        place,
        total,
        minutes: minutes.map(each => [each.minute, each.records] as const),
      })),
    )
  }

  /** Takes over what was booked before, without booking it. */
  restore(list: readonly BookedState[]): void {
    for (const { whose, place, total, minutes } of list) {
      if (!Object.hasOwn(lossPlaces, place)) continue
      const places = this.#booked.get(whose) ?? new Map<LossPlace, Booked>()
      this.#booked.set(whose, places)
      const kept = minutes.map(([minute, records]) => ({ minute, records }))
      places.set(place as LossPlace, { total, minutes: kept })
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
