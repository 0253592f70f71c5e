import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import { cpuNs } from './process-cost.ts'
import { pollThread, startProduct } from './product.ts'
import { runTimesOf, spent, startAccounting } from './run-time.ts'

export const rounds = 5
/** For so long the product looks out for sockets older than itself at every packet; measured is what comes after. */
export const settledMs = 11_000

/** Runs traffic and answers how many units of it there were. */
export type Traffic = () => Promise<number>

/** ns per unit of traffic, a value per round. */
export interface Cost {
  /** Of our programs, without iterators (the collector's own time), accounting, and what an empty program costs. */
  readonly kernel: readonly number[]
  /** Of the thread that empties the rings, reads what was said and makes records. */
  readonly poll: readonly number[]
}

interface EmptyCost {
  /** ns per run of a program that does nothing. */
  readonly tracing: number
  readonly cgroup_skb: number
}

async function costPerUnit(pid: number, empty: EmptyCost, traffic: Traffic): Promise<Cost> {
  const kernel: number[] = []
  const poll: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = runTimesOf(pid)
    const polled = cpuNs(pid, pollThread)
    const units = await traffic()
    const { tracing, cgroup_skb } = spent(before, runTimesOf(pid))
    const net = tracing.ns - tracing.runs * empty.tracing + cgroup_skb.ns - cgroup_skb.runs * empty.cgroup_skb
    kernel.push(net / units)
    poll.push((cpuNs(pid, pollThread) - polled) / units)
  }
  return { kernel, poll }
}

async function emptyCost(lab: Lab, traffic: Traffic): Promise<EmptyCost> {
  const accounting = await startAccounting(await lab.nodeCgroup('a'))
  try {
    const before = runTimesOf(accounting.pid)
    await traffic()
    const { tracing, cgroup_skb } = spent(before, runTimesOf(accounting.pid))
    const packet = cgroup_skb.ns / cgroup_skb.runs
    // UDP traffic changes no TCP state; the few runs for other programs' sockets are taken to cost as much
    return { tracing: tracing.runs > 0 ? tracing.ns / tracing.runs : packet, cgroup_skb: packet }
  } finally {
    await accounting.stop()
  }
}

async function inLab<T>(run: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await Lab.up({ nodes: 1, pods: 2 })
  try {
    return await run(lab)
  } finally {
    await lab.down()
  }
}

/**
 * Measures traffic between the pods a1 and a2 with the product on the lab's only node, so that both ends of every
 * connection pay; once per set of flags, one after the other on the same servers.
 */
export function kernelTime(
  traffic: (lab: Lab) => Promise<Traffic>,
  ...flagSets: readonly (readonly string[])[]
): Promise<Cost[]> {
  return inLab(async lab => {
    const run = await traffic(lab)
    const empty = await emptyCost(lab, run)
    const costs: Cost[] = []
    for (const flags of flagSets) {
      const accounting = await startAccounting()
      const product = await startProduct({ a: await lab.nodeCgroup('a') }, flags)
      try {
        await sleep(settledMs)
        costs.push(await costPerUnit(product.pid, empty, run))
      } finally {
        await product.stop()
        await accounting.stop()
      }
    }
    return costs
  })
}
