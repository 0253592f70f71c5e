/** Upper bounds of the buckets of latencies in microseconds; beyond the last one there is one more. */
export const latencyBoundsUs = [
  100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
  10_000_000,
] as const

/** Counts per bucket, then how many there are, and the sum of their microseconds. */
export class LatencyBuckets {
  readonly counts = new Float64Array(latencyBoundsUs.length + 1)
  count = 0
  sumUs = 0

  add(microseconds: number, count: number): void {
    let bucket = 0
    while (bucket < latencyBoundsUs.length && microseconds > latencyBoundsUs[bucket]) bucket++
    this.counts[bucket] += count
    this.count += count
    this.sumUs += microseconds * count
  }
}
