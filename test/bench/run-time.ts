import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { compiled, compiledBpf } from './bench-program.ts'

/** Run time the kernel accounted to one program since it was loaded. */
export interface ProgramRunTime {
  readonly id: number
  readonly kind: 'tracing' | 'cgroup_skb' | 'iterator' | 'other'
  readonly ns: number
  readonly runs: number
}

export interface Accounting {
  /** Process that holds the attached empty programs. */
  readonly pid: number
  stop(): Promise<void>
}

/** Switches run-time accounting on until `stop`; with a cgroup, empty programs are attached there as well. */
export async function startAccounting(emptyAt?: string): Promise<Accounting> {
  const tool = await compiled('kernel-cost', ['-lbpf', '-lelf', '-lz'])
  const args = emptyAt === undefined ? [] : [await compiledBpf('empty'), emptyAt]
  const child = spawn(tool, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => reject(new Error(`kernel-cost ended with ${code}`)))
    child.stdout.once('data', () => resolve())
  })
  return {
    pid: child.pid!,
    stop: () => {
      child.stdin.end()
      return ended
    },
  }
}

const tracingType = 26
const cgroupSkbType = 8

/** The programs a process holds, by what the kernel says about its file descriptors. */
export function runTimesOf(pid: number): ProgramRunTime[] {
  const infos = readdirSync(`/proc/${pid}/fdinfo`).map(fd => fdInfo(pid, fd))
  const number = (info: string, key: string) =>
    Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(info)?.[1] ?? Number.NaN)
  const iterators = new Set(infos.filter(i => /^link_type:\s*iter/m.test(i)).map(i => number(i, 'prog_id')))
  const programs = new Map<number, ProgramRunTime>()
  for (const info of infos) {
    const id = number(info, 'prog_id')
    const type = number(info, 'prog_type')
    if (Number.isNaN(id) || Number.isNaN(type)) continue
    const kind = iterators.has(id)
      ? 'iterator'
      : type === tracingType
        ? 'tracing'
        : type === cgroupSkbType
          ? 'cgroup_skb'
          : 'other'
    programs.set(id, { id, kind, ns: number(info, 'run_time_ns'), runs: number(info, 'run_cnt') })
  }
  return [...programs.values()]
}

function fdInfo(pid: number, fd: string): string {
  try {
    return readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')
  } catch {
    return '' // closed between listing and reading
  }
}

/** Run time and runs by kind between two readings of the same programs. */
export function spent(before: readonly ProgramRunTime[], after: readonly ProgramRunTime[]) {
  const sums = {
    tracing: { ns: 0, runs: 0 },
    cgroup_skb: { ns: 0, runs: 0 },
    iterator: { ns: 0, runs: 0 },
    other: { ns: 0, runs: 0 },
  }
  for (const now of after) {
    const was = before.find(program => program.id === now.id)
    sums[now.kind].ns += now.ns - (was?.ns ?? 0)
    sums[now.kind].runs += now.runs - (was?.runs ?? 0)
  }
  return sums
}
