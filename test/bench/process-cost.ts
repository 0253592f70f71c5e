import { readdirSync, readFileSync } from 'node:fs'

/** Time that all threads of a process have spent on a CPU, ns; exact, not sampled. */
export function cpuNs(pid: number): number {
  let sum = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  }
  return sum
}

export interface MemoryMib {
  readonly rss: number
  readonly anonymous: number
}

/** Resident memory, MiB. */
export function memoryMib(pid: number): MemoryMib {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (key: string) => Number(new RegExp(`^${key}:\\s*(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  return { rss: mib('VmRSS'), anonymous: mib('RssAnon') }
}
