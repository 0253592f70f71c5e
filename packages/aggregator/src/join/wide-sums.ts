/** The sums of a flow for the list of flows, in the order of its words in the slot and of a record's amounts. */
export const flowSums = 7

/**
 * What does not fit into the 32 bits that a slot has for each sum of a flow, as multiples of 2^32. Few flows have any;
 * bounded by the flows in the table.
 */
export class WideSums {
  readonly #high = new Map<number, Float64Array>()

  /** The part of a flow's sum beyond 32 bits. */
  of(flow: number, sum: number): number {
    return this.#high.get(flow)?.[sum] ?? 0
  }

  carry(flow: number, sum: number, amount: number): void {
    let high = this.#high.get(flow)
    if (high === undefined) {
      high = new Float64Array(flowSums)
      this.#high.set(flow, high)
    }
    high[sum] += amount
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
