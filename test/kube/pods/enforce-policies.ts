import { writeFile } from 'node:fs/promises'
import type { Cluster } from '../cluster/cluster.ts'
import { nodes, stateDirectory } from '../cluster/names.ts'
import {
  type LabelledNamespace,
  type LabelledPod,
  type Policy,
  policyRules,
  policyTable,
} from '../cluster/policy-rules.ts'

/** Holds both nodes to the NetworkPolicies for the pods as they are now, as long as `meanwhile` takes. */
export async function withPoliciesEnforced(cluster: Cluster, meanwhile: () => Promise<void>): Promise<void> {
  const all = async <T>(kind: string) => (await cluster.get<{ items: readonly T[] }>(kind, '-A')).items
  const [policies, pods, namespaces] = await Promise.all([
    all<Policy>('networkpolicies'),
    all<LabelledPod>('pods'),
    all<LabelledNamespace>('namespaces'),
  ])
  const file = `${stateDirectory}/policies.nft`
  await writeFile(file, policyRules({ policies, pods, namespaces }))
  const onNodes = (...nft: string[]) => Promise.all(nodes.map(node => cluster.onNode(node, ['nft', ...nft])))
  await onNodes('-f', file)
  try {
    await meanwhile()
  } finally {
    await onNodes('delete', 'table', 'ip', policyTable)
  }
}

// a policy drops what it forbids, so that a dial ends with nothing
const program = `const [host, port] = process.argv.slice(1)
const end = how => { console.log(how); process.exit() }
require('node:net').connect(port, host, () => end('open')).on('error', e => end(e.code)).setTimeout(3000, () => end('nothing'))`

/** What comes of a connection that a pod's program opens. */
export async function dialFrom(
  cluster: Cluster,
  [namespace, pod]: readonly [string, string],
  host: string,
  port: number,
): Promise<string> {
  const exec = ['-n', namespace, 'exec', pod, '--', 'node', '--max-semi-space-size=1', '-e', program]
  return (await cluster.kubectl(...exec, host, `${port}`)).trim()
}
