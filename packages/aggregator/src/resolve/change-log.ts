const rememberedChanges = 4096

/**
 * Counts changes of names, and remembers since when each one counts, so that an answer about an older time keeps its
 * revision when only newer names were learned. Bounded: a change too old to be remembered counts for every time.
 */
export interface ChangeLog {
  /** Something changed for all times from `sinceMs` on. */
  add(sinceMs: number): void
  total(): number
  /** How many changes concern times up to `atMs`. */
  countAt(atMs: number): number
}

export function createChangeLog(): ChangeLog {
  let total = 0
  const since = new Float64Array(rememberedChanges).fill(Number.NEGATIVE_INFINITY)
  return {
    add(sinceMs) {
      since[total++ % rememberedChanges] = sinceMs
    },
    total: () => total,
    countAt(atMs) {
      let later = 0
      for (const time of since) if (time > atMs) later++
      return total - later
    },
  }
}
