import type { SaidRows } from './said-rows.ts'

/**
 * The rows of each slot of a fold, as chains of row numbers. Rows are only ever added, and keep their edge, so that
 * bringing the chains up to date is linking the rows that came since.
 */
export class SaidChains {
  readonly rows: SaidRows
  /** Row + 1 by slot, the latest one first; 0 where there is none. */
  #first = new Int32Array(0)
  /** By row: the one before it of the same slot. */
  #next = new Int32Array(0)
  #linked = 0

  constructor(rows: SaidRows) {
    this.rows = rows
  }

  /** `slotOf` says where the rows' edges belong; without it they are slots themselves. */
  link(slots: number, slotOf?: Int32Array): void {
    const { rowCount } = this.rows
    if (this.#first.length < slots) this.#first = grown(this.#first, slots)
    if (this.#next.length < rowCount) this.#next = grown(this.#next, rowCount)
    for (let row = this.#linked; row < rowCount; row++) {
      const edge = this.rows.edgeOf(row)
      const slot = slotOf === undefined ? edge : slotOf[edge]
      if (slot === 0) continue
      this.#next[row] = this.#first[slot]
      this.#first[slot] = row + 1
    }
    this.#linked = rowCount
  }

  /** A row of the slot, -1 if there is none. */
  first(slot: number): number {
    return slot < this.#first.length ? this.#first[slot] - 1 : -1
  }

  /** The slot's next row after this one, -1 at the end. */
  next(row: number): number {
    return this.#next[row] - 1
  }
}

function grown(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.ceil(length * 1.25))
  larger.set(from)
  return larger
}
