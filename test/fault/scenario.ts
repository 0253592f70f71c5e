import { availableParallelism, loadavg } from 'node:os'

/** `short` is for every change, `full` for the whole suite. */
export type Size = 'short' | 'full'

/** One thing that had to hold, with the figure that was seen. */
export interface Finding {
  readonly what: string
  readonly seen: string
  readonly holds: boolean
  /** Differences from the truth, as a table. */
  readonly detail?: string
}

export interface Scenario {
  readonly name: string
  /** What is done, with its figures in this size. */
  fault(size: Size): string
  /** Part of the short set. */
  readonly isShort: boolean
  /** Why it cannot run here; undefined if it can. */
  obstacle?(): string | undefined
  run(size: Size): Promise<Finding[]>
}

export function finding(what: string, seen: string | number, holds: boolean, detail?: string): Finding {
  return { what, seen: String(seen), holds, ...(detail === undefined ? {} : { detail }) }
}

/** `seen` must not be more than `most`. */
export function atMost(what: string, seen: number, most: number, unit = ''): Finding {
  const digits = Number.isInteger(seen) ? 0 : 1
  return finding(`${what} ≤ ${most}${unit}`, `${seen.toFixed(digits)}${unit}`, seen <= most)
}

/**
 * The full size fails where something takes longer than promised. The short one runs on every change, on machines of any
 * kind: there it fails at three times as long, because a machine may be slower than the one of docs/reliability.md; and
 * what is waited for most, timers of 16 to 25 s, does not grow with that. Where more than three processes want each core,
 * each of them gets so much less of it, and so much more is allowed.
 */
const shortFactor = 3
const mostWanted = 20

export function within(what: string, size: Size, seconds: number, most: number): Finding {
  const wanted = Math.min(mostWanted, loadavg()[0]! / availableParallelism())
  const allowed = size === 'full' ? most : Math.max(shortFactor, wanted) * most
  const seen = `${seconds.toFixed(1)} s${seconds > most ? ', later than promised' : ''}`
  return finding(`${what} ≤ ${most} s`, seen, seconds <= allowed)
}

export function exactly(what: string, seen: number, wanted: number): Finding {
  return finding(`${what} = ${wanted}`, seen, seen === wanted)
}

/** Findings that do not hold, for a message; empty if all do. */
export function brokenOnes(findings: readonly Finding[]): string {
  return findings
    .filter(({ holds }) => !holds)
    .map(({ what, seen, detail }) => `${what}: ${seen}${detail === undefined ? '' : `\n${detail}`}`)
    .join('\n')
}
