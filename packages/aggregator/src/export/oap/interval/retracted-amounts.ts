import { Amount, amountCount, type PodPair } from './pod-pair.ts'

/**
 * What was sent and then taken back, because the other half of a connection came late and named the remote end. OAP
 * cannot forget, so as much less of the same local end, role and minute is sent under the right name: sums of the
 * local end stay exact, and what stands under the wrong name is counted.
 */
export class RetractedAmounts {
  readonly #owed = new Map<number, Map<string, Float64Array>>()
  readonly #counts: { movedLate: number; overstated: number }

  constructor(counts: { movedLate: number; overstated: number }) {
    this.#counts = counts
  }

  /** Something of this minute is still to be taken from others. */
  owesIn(unixMinute: number): boolean {
    return this.#owed.has(unixMinute)
  }

  /** Makes the amounts of one local end, role and minute non-negative; their sum is kept as far as it can be. */
  settle(unixMinute: number, pairs: readonly PodPair[]): void {
    const key = `${pairs[0].role} ${pairs[0].local.service} ${pairs[0].local.pod}`
    let owed = this.#owed.get(unixMinute)?.get(key)
    for (let i = 0; i < amountCount; i++) {
      for (const { amounts } of pairs) {
        if (amounts[i] >= 0) continue
        owed ??= this.#owe(unixMinute, key)
        owed[i] -= amounts[i]
        amounts[i] = 0
      }
      if (owed !== undefined && owed[i] > 0) this.#take(owed, i, pairs)
    }
  }

  /** Counts what is still owed of minutes before this one, which nothing can settle any more. */
  forget(beforeMinute: number): void {
    for (const [minute, locals] of this.#owed) {
      if (minute >= beforeMinute) continue
      for (const owed of locals.values())
        this.#counts.overstated += Math.max(
          owed[Amount.opened] + owed[Amount.closed] + owed[Amount.failed],
          owed.some(n => n > 0) ? 1 : 0,
        )
      this.#owed.delete(minute)
    }
  }

  #owe(unixMinute: number, key: string): Float64Array {
    const locals = this.#owed.get(unixMinute) ?? new Map<string, Float64Array>()
    this.#owed.set(unixMinute, locals)
    const owed = new Float64Array(amountCount)
    locals.set(key, owed)
    return owed
  }

  #take(owed: Float64Array, i: number, pairs: readonly PodPair[]): void {
    for (const { amounts } of pairs) {
      const taken = Math.min(owed[i], amounts[i])
      if (taken <= 0) continue
      amounts[i] -= taken
      owed[i] -= taken
      if (i === Amount.opened || i === Amount.closed || i === Amount.failed) this.#counts.movedLate += taken
    }
  }
}
