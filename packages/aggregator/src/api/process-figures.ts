import { monitorEventLoopDelay } from 'node:perf_hooks'

export interface ProcessFigures {
  readonly rssBytes: number
  readonly heapUsedBytes: number
  readonly cpuSeconds: number
  readonly eventLoopDelayP99Ms: number
}

const sampleMs = 20
const delay = monitorEventLoopDelay({ resolution: sampleMs })
delay.enable()

/** What this process costs now. The event-loop delay is over the life of the process, without the sampling step. */
export function processFigures(): ProcessFigures {
  const memory = process.memoryUsage()
  const cpu = process.cpuUsage()
  const p99Ms = delay.percentile(99) / 1e6 - sampleMs
  return {
    rssBytes: memory.rss,
    heapUsedBytes: memory.heapUsed,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    eventLoopDelayP99Ms: Number.isFinite(p99Ms) ? Math.max(0, Math.round(p99Ms * 10) / 10) : 0,
  }
}
