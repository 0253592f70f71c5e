/** How many sums a flow has, see `FlowSum`. */
export const flowSums = 7

/**
 * What a slot's words for the sums of a flow don't tell, as multiples of 2^32. Few flows have any; bounded by the flows
 * in the table.
 */
export class WideSums {
  readonly #high = new Map<number, Float64Array>()

  /** The part of a flow's sum beyond its words. */
  of(flow: number, sum: number): number {
    return this.#high.get(flow)?.[sum] ?? 0
  }

  set(flow: number, sum: number, amount: number): void {
    let high = this.#high.get(flow)
    if (high === undefined) {
      if (amount === 0) return
      high = new Float64Array(flowSums)
      this.#high.set(flow, high)
    }
    high[sum] = amount
  }

  /** A flow got another number, or (between two sets) a copy under another one. */
  copy(flow: number, into: WideSums, as: number): void {
    const high = this.#high.get(flow)
    if (high === undefined) into.#high.delete(as)
    else into.#high.set(as, high.slice())
  }

  move(from: number, to: number): void {
    this.copy(from, this, to)
    this.#high.delete(from)
  }

  forget(flow: number): void {
    this.#high.delete(flow)
  }
}
