/**
 * The rate at which new connections are recorded: one in 2^exponent. Fixed, or adaptive: a collector that takes more
 * processor time than its budget halves the rate, and doubles it again when there is room. Pure; time is an argument.
 */
export interface SamplingControl {
  /** What is in force now. */
  readonly exponent: number
  /** The latest changes, oldest first. */
  readonly events: readonly SamplingEvent[]
  /** Sets a fixed rate, or hands it to the budget. */
  configure(mode: SamplingMode, nowMs: number): void
  /** Notes the processor time that this process took since the last call, in milliseconds. Call every few seconds. */
  note(cpuMs: number, elapsedMs: number, nowMs: number): void
}

/** An exponent, or `adaptive`. */
export type SamplingMode = number | 'adaptive'

export interface SamplingEvent {
  readonly atUnixMs: number
  readonly from: number
  readonly to: number
  readonly reason: 'configured' | 'over budget' | 'room again'
  /** Share of one core at the change; undefined where it was not the reason. */
  readonly cpuCores?: number
}

export const maxSamplingExponent = 15
const eventsKept = 32
/** Over the budget twice in a row counts; a single garbage collection does not. */
const overToLower = 2
/** Under half of it for so many readings: the doubled rate then still fits. */
const underToRaise = 6

export function createSamplingControl(mode: SamplingMode, budgetCores: number): SamplingControl {
  const events: SamplingEvent[] = []
  let isAdaptive = mode === 'adaptive'
  let exponent = mode === 'adaptive' ? 0 : mode
  let over = 0
  let under = 0

  function change(to: number, atUnixMs: number, reason: SamplingEvent['reason'], cpuCores?: number): void {
    over = under = 0
    if (to === exponent || to < 0 || to > maxSamplingExponent) return
    events.push({ atUnixMs, from: exponent, to, reason, ...(cpuCores === undefined ? {} : { cpuCores }) })
    if (events.length > eventsKept) events.shift()
    exponent = to
  }

  return {
    get exponent() {
      return exponent
    },
    events,
    configure(next, nowMs) {
      isAdaptive = next === 'adaptive'
      // adaptive goes on from where the rate is
      if (next !== 'adaptive') change(next, nowMs, 'configured')
    },
    note(cpuMs, elapsedMs, nowMs) {
      if (!isAdaptive || elapsedMs <= 0) return
      const cores = cpuMs / elapsedMs
      over = cores > budgetCores ? over + 1 : 0
      under = cores < budgetCores / 2 ? under + 1 : 0
      if (over >= overToLower) change(exponent + 1, nowMs, 'over budget', cores)
      else if (under >= underToRaise) change(exponent - 1, nowMs, 'room again', cores)
    },
  }
}

/** `all`, `1/2`, `1/4` … `1/32768`, or `adaptive`; undefined if it is none of them. */
export function parseSampling(text: string): SamplingMode | undefined {
  if (text === 'adaptive') return 'adaptive'
  if (text === 'all' || text === '1' || text === '1/1') return 0
  const match = /^1\/(\d{1,5})$/.exec(text)
  const exponent = match === null ? Number.NaN : Math.log2(Number(match[1]))
  return Number.isInteger(exponent) && exponent <= maxSamplingExponent ? exponent : undefined
}

/** The default budget: 3 % of the machine, at most half a core. */
export function defaultBudgetCores(cores: number): number {
  return Math.min(0.03 * cores, 0.5)
}
