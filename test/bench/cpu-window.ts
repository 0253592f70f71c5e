import { setTimeout as sleep } from 'node:timers/promises'
import { cpuNs } from './process-cost.ts'
import { pollThread } from './product.ts'

/** On-CPU time of a stretch of time over what happened in it, µs each. */
export interface CpuWindow {
  /** The programs under observation, the kernel's work on their behalf included. */
  readonly traffic: number
  /** The product's thread that empties the rings and makes records. */
  readonly poll: number
  /** Everything else of the product: collector and aggregator in JavaScript, garbage collection, compiling. */
  readonly script: number
  readonly perSecond: number
}

export interface WindowOptions {
  readonly pids: readonly number[]
  readonly productPid: number | undefined
  /** How often it happened so far. */
  readonly count: () => Promise<number>
  readonly windowMs: number
}

export async function cpuWindow({ pids, productPid, count, windowMs }: WindowOptions): Promise<CpuWindow> {
  const read = async () => ({
    traffic: pids.map(pid => cpuNs(pid)).reduce((a, b) => a + b),
    poll: productPid === undefined ? 0 : cpuNs(productPid, pollThread),
    product: productPid === undefined ? 0 : cpuNs(productPid),
    count: await count(),
    at: performance.now(),
  })
  const before = await read()
  await sleep(windowMs)
  const after = await read()
  const happened = after.count - before.count
  if (happened <= 0) throw new Error('nothing happened while it was measured')
  const each = (key: 'traffic' | 'poll' | 'product') => (after[key] - before[key]) / 1000 / happened
  return {
    traffic: each('traffic'),
    poll: each('poll'),
    script: each('product') - each('poll'),
    perSecond: (happened / (after.at - before.at)) * 1000,
  }
}

/** All of it, per occurrence. */
export function wholeUs({ traffic, poll, script }: CpuWindow): number {
  return traffic + poll + script
}
