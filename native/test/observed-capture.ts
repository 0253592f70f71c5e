import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterEach, beforeEach } from 'vitest'
import {
  type Capture,
  type OpenCaptureOptions,
  openCapture,
} from '../../packages/collector/src/source/open-capture.ts'
import { decodeFlushes, roleOf } from './decode.ts'
import { ObservedGroup } from './observed-group.ts'

export const canCapture = process.getuid?.() === 0 && existsSync('/sys/kernel/btf/vmlinux')
/** Whether this machine has a program. */
export const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0

export const client = 1
export const server = 2

/** Of what was said, where a test sends no more than fits into the ring. */
export const nothingLost = { ringFull: 0, cut: 0, gap: 0, unpaired: 0, outOfStep: 0 } as const

/** What the test that runs observes: a group of programs and what captures told of it. */
export interface Observation {
  readonly group: ObservedGroup
  readonly flushes: ArrayBuffer[]
  /** Begins to observe; ends with the test at the latest. */
  start(more?: Partial<OpenCaptureOptions>): Capture
}

/** Each test of the file gets an observation of its own, which is gone when it ends. */
export function observeEachTest(options: Partial<OpenCaptureOptions> = {}): Observation {
  let group: ObservedGroup | undefined
  let flushes: ArrayBuffer[] = []
  let captures: Capture[] = []
  const groupNow = (): ObservedGroup => {
    if (group === undefined) throw new Error('no test runs')
    return group
  }
  beforeEach(() => {
    group = new ObservedGroup()
    flushes = []
    captures = []
  })
  afterEach(async () => {
    for (const capture of captures) capture.close()
    await group?.remove()
  })
  return {
    get group() {
      return groupNow()
    },
    get flushes() {
      return flushes
    },
    start(more = {}) {
      const capture = observe(groupNow(), flushes, { ...options, ...more })
      captures.push(capture)
      return capture
    },
  }
}

/** Begins to observe a group; what is told goes to `flushes`. */
export function observe(
  group: ObservedGroup,
  flushes: ArrayBuffer[],
  options: Partial<OpenCaptureOptions> = {},
): Capture {
  return openCapture({
    cgroupPath: group.path,
    flushMs: 100,
    partitions: 4,
    ringBytes: 1 << 20,
    maxFlows: 10_000,
    udp: true,
    taskFiles: false,
    reportMs: 200,
    announceMs: 300_000,
    onFlush: flush => flushes.push(flush),
    ...options,
  })
}

/** What one end saw of what was said, added up by operation and status: `GET /a 200`. */
export function saidAt(flushes: readonly ArrayBuffer[], role: number): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { said } of decodeFlushes(flushes))
    for (const row of said) {
      if (roleOf(row.record) !== role) continue
      const key = `${row.operation} ${row.status}`
      sums[key] = (sums[key] ?? 0) + row.count
    }
  return sums
}

/** The same by status alone. */
export function statusesAt(flushes: readonly ArrayBuffer[], role: number): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const [key, count] of Object.entries(saidAt(flushes, role))) {
    const status = key.slice(key.lastIndexOf(' ') + 1)
    sums[status] = (sums[status] ?? 0) + count
  }
  return sums
}

/** Says, once per piece of work, that more was read than at the last time and then nothing for five turns. */
export function settling(capture: Capture): () => boolean {
  let settled = 0
  let before = 0
  let still = 0
  return () => {
    const { pieces } = capture.counters().l7
    still = pieces === before ? still + 1 : 0
    before = pieces
    if (pieces === settled || still < 5) return false
    settled = pieces
    return true
  }
}

export async function until<T>(what: string, probe: () => T | undefined, timeoutMs = 30_000): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const found = probe()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise(r => setTimeout(r, 40))
  }
}
