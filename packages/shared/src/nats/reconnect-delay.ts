const firstWaitMs = 500
/** Between the attempts of who is about to end. */
export const hurriedWaitMs = 250

/**
 * Waits before attempts to come back, for many clients that lost the same server at once. A round of attempts tries
 * every server once. The first round falls anywhere in a period, the following are a period apart: each client keeps
 * its own phase, so in any second about clients / period of them connect, however long the servers were away.
 */
export function reconnectDelays(periodMs: number, random: () => number) {
  let attempts = 0
  let hurried = false
  return {
    /** To be called once before each attempt. */
    next(servers: number): number {
      const [index, isFirstRound] = [attempts % servers, attempts < servers]
      attempts++
      if (index > 0) return 0
      if (hurried) return hurriedWaitMs
      return Math.round(isFirstRound ? random() * periodMs : periodMs)
    },
    /** Whoever is about to end can't wait for its turn. */
    hurry(): void {
      hurried = true
    },
    /** To be called when connected. */
    reset(): void {
      attempts = 0
    },
  }
}

/**
 * Waits while there never was a connection: short at first, as programs are often started side by side; doubled until
 * they are as long as later ones, by when each client has a phase of its own.
 */
export function firstConnectDelays(periodMs: number, random: () => number) {
  let waitMs = firstWaitMs
  return {
    next(): number {
      const now = Math.min(periodMs, waitMs * (1 + random()))
      waitMs = Math.min(periodMs, waitMs * 2)
      return Math.round(now)
    },
  }
}
