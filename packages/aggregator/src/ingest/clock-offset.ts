const spanMs = 60_000

/**
 * How far a node's clock is ahead of ours, in milliseconds. A batch can't arrive before it was sent, so the largest
 * (sent - received) of the last one to two minutes is the estimate; the bus's shortest delay is its error.
 */
export class ClockOffset {
  #current = Number.NEGATIVE_INFINITY
  #previous = Number.NEGATIVE_INFINITY
  #sinceMs = Number.NEGATIVE_INFINITY

  note(sentUnixMs: number, nowMs: number): void {
    if (nowMs - this.#sinceMs >= spanMs) {
      this.#previous = this.#current
      this.#current = Number.NEGATIVE_INFINITY
      this.#sinceMs = nowMs
    }
    this.#current = Math.max(this.#current, sentUnixMs - nowMs)
  }

  get ms(): number {
    const best = Math.max(this.#current, this.#previous)
    return Number.isFinite(best) ? best : 0
  }
}
