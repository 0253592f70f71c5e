import type { L7Columns, Operation } from '@skybraid/shared'
import { operationKey, SaidFlag, type SaidRows, saidSumCount } from '../topology/said-rows.ts'

/** One row of what a flow said in a minute, as it came: not scaled. */
interface Kept {
  readonly minute: number
  readonly operation: Operation
  readonly status: number
  readonly flags: number
  readonly sums: Float64Array
  readonly buckets: Map<number, number>
}

/** Rows over all flows of a partition, some 300 bytes each. */
const mostKept = 200_000

/**
 * What was said on flows whose bookings can still move to another edge, so that it can be taken back and booked again.
 * What finds no room stays on the edge that it was booked on.
 */
export class SaidLedger {
  /** Messages that found no room. */
  unmovable = 0
  readonly #flows = new Map<number, Map<string, Kept>>()
  #count = 0
  readonly #most: number

  constructor(most = mostKept) {
    this.#most = most
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Notes a row of a batch. Of a flow nothing is kept that is older than `keptMinutes` before this minute. */
  keep(
    flow: number,
    minute: number,
    operation: Operation,
    { u32 }: L7Columns,
    at: number,
    bucketAt: number,
    keptMinutes: number,
  ): void {
    const flags = u32.l7Flags[at] & SaidFlag.mask
    const kept = this.#entry(flow, minute, operation, u32.l7Status[at], flags, keptMinutes)
    if (kept === undefined) {
      this.unmovable += u32.l7Count[at]
      return
    }
    const { sums, buckets } = kept
    sums[0] += u32.l7Count[at]
    sums[1] += u32.l7RequestBytes[at]
    sums[2] += u32.l7ResponseBytes[at]
    sums[3] += u32.l7FirstByteSumUs[at]
    sums[4] += u32.l7LastByteSumUs[at]
    const end = bucketAt + u32.l7BucketCount[at]
    for (let b = bucketAt; b < end; b++) {
      const slot = (u32.l7BucketIndex[b] | 0) + 2
      buckets.set(slot, (buckets.get(slot) ?? 0) + u32.l7BucketValue[b])
    }
  }

  /** Adds (or takes back) all of a flow. `rowsOf` answers where a minute is booked, undefined where it can't be. */
  book(
    flow: number,
    edge: number,
    sign: 1 | -1,
    weight: number,
    rowsOf: (minute: number) => SaidRows | undefined,
  ): void {
    const side = (flow & 1) === 0 ? 0 : SaidFlag.server
    for (const { minute, operation, status, flags, sums, buckets } of this.#flows.get(flow)?.values() ?? []) {
      const rows = rowsOf(minute)
      if (rows === undefined) continue
      const row = rows.row(edge, rows.operation(operation), status, flags | side)
      for (let sum = 0; sum < saidSumCount; sum++) rows.add(row, sum, sign * weight * sums[sum])
      for (const [slot, count] of buckets) rows.addBucket(row, slot, sign * weight * count)
    }
  }

  /** The flow has another number now; -1 is a place for one while two are swapped. */
  move(from: number, to: number): void {
    const kept = this.#flows.get(from)
    if (kept === undefined) return
    this.#flows.delete(from)
    this.#flows.set(to, kept)
  }

  forget(flow: number): void {
    if (this.#count === 0) return
    this.#count -= this.#flows.get(flow)?.size ?? 0
    this.#flows.delete(flow)
  }

  #entry(
    flow: number,
    minute: number,
    operation: Operation,
    status: number,
    flags: number,
    keptMinutes: number,
  ): Kept | undefined {
    const entries = this.#flows.get(flow) ?? new Map<string, Kept>()
    const key = `${minute} ${status} ${flags} ${operationKey(operation)}`
    const known = entries.get(key)
    if (known !== undefined) return known
    this.#dropOlder(entries, minute - keptMinutes)
    if (this.#count >= this.#most) return undefined
    const fresh = {
      minute,
      operation,
      status,
      flags,
      sums: new Float64Array(saidSumCount),
      buckets: new Map<number, number>(),
    }
    this.#flows.set(flow, entries.set(key, fresh))
    this.#count++
    return fresh
  }

  /** Entries lie in the order in which they came, and minutes come in order but for a few. */
  #dropOlder(entries: Map<string, Kept>, before: number): void {
    for (const [key, { minute }] of entries) {
      if (minute >= before) return
      entries.delete(key)
      this.#count--
    }
  }
}
