import type { KubePod } from './kube-object.ts'
import type { PodRecord } from './kube-record.ts'

const mostContainers = 32

/** Containers that a pod had in its state before and has no more keep their names. */
export function rememberContainers(record: PodRecord, before: KubePod): void {
  const { containers } = before
  for (let i = 0; i < containers.length; i += 2) {
    if (record.pod.containers.includes(containers[i]) || record.containers?.has(containers[i])) continue
    record.containers ??= new Map()
    if (record.containers.size >= mostContainers)
      record.containers.delete(record.containers.keys().next().value!)
    record.containers.set(containers[i], containers[i + 1])
  }
}
