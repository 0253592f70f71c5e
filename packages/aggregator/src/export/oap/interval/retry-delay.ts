/** How an opening failed: `brief` troubles are tried again soon, `lasting` ones need somebody to change something. */
export type Trouble = 'brief' | 'lasting'

const firstMs = 1_000
const longestMs = { brief: 30_000, lasting: 60_000 } as const
const firstLastingMs = 15_000

/** Time to wait after so many failures in a row: twice as long each time, half of it random. `random` is in [0, 1). */
export function retryDelayMs(failures: number, trouble: Trouble, random: number): number {
  const base = trouble === 'brief' ? firstMs : firstLastingMs
  const whole = Math.min(longestMs[trouble], base * 2 ** Math.min(20, Math.max(0, failures - 1)))
  return whole / 2 + (whole / 2) * random
}
