import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly distribution: string
  readonly node: string
  /** Load average of the minute before: what else kept the machine busy. */
  readonly loadBefore: number
}

/** What the figures were measured on; no name or address of the machine. */
export function describeMachine(): Machine {
  const osRelease = readFileSync('/etc/os-release', 'utf8')
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    distribution: /^PRETTY_NAME="?([^"\n]+)/m.exec(osRelease)?.[1] ?? 'unknown',
    node: process.version,
    loadBefore: loadavg()[0]!,
  }
}
