import { readdirSync, readFileSync } from 'node:fs'

/** Time that a process's threads have spent on a CPU, ns; exact, not sampled. `thread`: only those of that name. */
export function cpuNs(pid: number, thread?: string): number {
  let sum = 0
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${id}`
    if (thread !== undefined && readFileSync(`${folder}/comm`, 'utf8').trim() !== thread) continue
    sum += Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0])
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
