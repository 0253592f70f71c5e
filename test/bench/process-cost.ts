import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

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

/** Processor time of a process over some seconds, % of one core, and its largest memory of one reading a second. */
export async function costOver(
  pid: number,
  seconds: number,
): Promise<{ readonly cpuPercent: number; readonly most: MemoryMib }> {
  const cpuBefore = cpuNs(pid)
  const begun = performance.now()
  const memory: MemoryMib[] = []
  for (let second = 0; second < seconds; second++) {
    await sleep(1_000)
    memory.push(memoryMib(pid))
  }
  const cpuPercent = ((cpuNs(pid) - cpuBefore) / 1e6 / (performance.now() - begun)) * 100
  const largest = (of: keyof MemoryMib) => Math.max(...memory.map(each => each[of]))
  return { cpuPercent, most: { rss: largest('rss'), anonymous: largest('anonymous') } }
}
