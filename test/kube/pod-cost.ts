import { readFile } from 'node:fs/promises'
import { readHierarchies } from './cluster/hierarchies.ts'
import type { Installation } from './installation.ts'
import { type PlacedPod, podCgroup } from './pods/pod-cgroup.ts'

/** What the kernel accounts to one pod. */
export interface PodCost {
  readonly memoryMib: number
  readonly anonymousMib: number
  readonly cpuNs: number
}

/** Reads the cgroup of the only pod that a selector finds; the whole pod, its pause included. */
export async function podCostReader(
  { cluster }: Installation,
  namespace: string,
  ...selector: string[]
): Promise<() => Promise<PodCost>> {
  const { items } = await cluster.get<{ items: readonly PlacedPod[] }>('pods', '-n', namespace, ...selector)
  const [pod] = items as [PlacedPod]
  const path = `${pod.spec.nodeName}/${podCgroup(pod)}`
  const hierarchies = await readHierarchies()
  const folder = (controller: string) => {
    const found = hierarchies.find(h => h.controllers.split(',').includes(controller))
    if (found === undefined) throw new Error(`no cgroup hierarchy has ${controller}`)
    return `${found.mountPoint}/${path}`
  }
  const read = (controller: string, file: string) => readFile(`${folder(controller)}/${file}`, 'utf8')
  return async () => {
    const [memory, stat, cpu] = await Promise.all([
      read('memory', 'memory.usage_in_bytes'),
      read('memory', 'memory.stat'),
      read('cpuacct', 'cpuacct.usage'),
    ])
    const anonymous = Number(/^total_rss (\d+)$/m.exec(stat)?.[1])
    return { memoryMib: Number(memory) / 2 ** 20, anonymousMib: anonymous / 2 ** 20, cpuNs: Number(cpu) }
  }
}
