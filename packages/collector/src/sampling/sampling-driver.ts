import type { Clock } from '../clock.ts'
import {
  createSamplingControl,
  type SamplingControl,
  type SamplingEvent,
  type SamplingMode,
} from './sampling-control.ts'

export interface SamplingStatus {
  /** New connections are recorded one in so many. */
  readonly oneIn: number
  readonly isAdaptive: boolean
  /** Share of one core that an adaptive collector keeps to. */
  readonly budgetCores: number
  /** The latest changes, oldest first. */
  readonly events: readonly SamplingEvent[]
}

export interface SamplingOptions {
  readonly mode: SamplingMode
  readonly budgetCores: number
  readonly clock: Clock
  /** Processor time of this process since its start, in milliseconds. */
  readonly cpuMs: () => number
  /** Puts an exponent in force; called at once where it is not 0, then at every change. */
  readonly apply: (exponent: number) => void
  readonly onChange?: (event: SamplingEvent) => void
}

/** Keeps the rate in force: what is configured, or what the processor time of the last seconds allows. */
export interface Sampling {
  readonly exponent: number
  status(): SamplingStatus
  configure(mode: SamplingMode): void
  stop(): void
}

const readingMs = 5_000

export function driveSampling(options: SamplingOptions): Sampling {
  const { clock, cpuMs, apply, budgetCores } = options
  const control = createSamplingControl(options.mode, budgetCores)
  let mode = options.mode
  let inForce = 0
  let cpuBefore = cpuMs()
  let readAtMs = clock.nowMs()
  let cancel = clock.after(readingMs, read)

  function read(): void {
    const [cpu, now] = [cpuMs(), clock.nowMs()]
    control.note(cpu - cpuBefore, now - readAtMs, now)
    cpuBefore = cpu
    readAtMs = now
    update()
    cancel = clock.after(readingMs, read)
  }

  function update(): void {
    if (control.exponent === inForce) return
    inForce = control.exponent
    apply(inForce)
    const last = control.events.at(-1)
    if (last !== undefined) options.onChange?.(last)
  }

  update()
  return {
    get exponent() {
      return control.exponent
    },
    status: () => statusOf(control, mode, budgetCores),
    configure(next) {
      mode = next
      control.configure(next, clock.nowMs())
      update()
    },
    stop: () => cancel(),
  }
}

function statusOf(control: SamplingControl, mode: SamplingMode, budgetCores: number): SamplingStatus {
  const { exponent, events } = control
  return { oneIn: 2 ** exponent, isAdaptive: mode === 'adaptive', budgetCores, events: [...events] }
}
