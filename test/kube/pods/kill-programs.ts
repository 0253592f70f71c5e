import { nodeNamed } from '../cluster/names.ts'
import type { Installation } from '../installation.ts'
import { type PlacedPod, podCgroup } from './pod-cgroup.ts'

/**
 * Kills the programs of the pods that a field or label selector finds, as the kernel does when memory is short: they
 * have no time for anything. Their kubelet starts them again in the same pod, at the same address.
 */
export async function killPrograms(
  { cluster }: Installation,
  namespace: string,
  fields: string,
  labels = '',
): Promise<void> {
  const selectors = ['--field-selector', fields, '-l', labels]
  const { items } = await cluster.get<{ items: readonly PlacedPod[] }>('pods', '-n', namespace, ...selectors)
  if (items.length === 0) throw new Error(`no pod in ${namespace} has ${fields} ${labels}`)
  for (const each of items) {
    const pod = `/sys/fs/cgroup/unified/${podCgroup(each)}`
    const script = `for p in $(cat ${pod}/*/cgroup.procs); do if [ "$(cat /proc/$p/comm)" != pause ]; then kill -9 $p; fi; done`
    await cluster.onNode(nodeNamed(each.spec.nodeName), ['sh', '-c', script])
  }
}
