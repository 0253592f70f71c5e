/** Median of at least one value; does not change the array. */
export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** The smallest value that at least `p` percent of the values do not exceed (nearest rank). */
export function percentile(values: readonly number[], p: number): number {
  if (values.length === 0) throw new Error('percentile of nothing')
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)]!
}

export function spread(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)]
}
