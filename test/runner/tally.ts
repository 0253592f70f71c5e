/** What one runner reported. */
export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const nothing: Tally = { passed: 0, failed: 0, skipped: 0 }

export function add(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }
}

/** A check with one outcome. */
export function fromExit(status: number | null): Tally {
  return status === 0 ? { ...nothing, passed: 1 } : { ...nothing, failed: 1 }
}

/** The sum of all lines `N passed, N failed` that the native tests print; one failure if they end badly without it. */
export function fromNativeTests(output: string, status: number | null): Tally {
  let sum = nothing
  for (const [, passed, failed] of output.matchAll(/^.*?(\d+) passed, (\d+) failed/gm)) {
    sum = add(sum, { passed: Number(passed), failed: Number(failed), skipped: 0 })
  }
  if (status !== 0 && sum.failed === 0) return add(sum, fromExit(status))
  return sum.passed + sum.failed === 0 ? fromExit(status) : sum
}
