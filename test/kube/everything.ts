import type { Cluster } from './cluster/cluster.ts'
import { type NodeName, nodes } from './cluster/names.ts'

interface Listed {
  readonly kind: string
  readonly metadata: { readonly namespace?: string; readonly name: string }
}

/** What comes and goes by itself. */
const passing = /^(events|leases|componentstatuses)(\.|$)/

/** `KIND NAMESPACE NAME` of every object that the API server has, but of those in namespaces to be left out. */
export async function everyObject(cluster: Cluster, except: RegExp): Promise<readonly string[]> {
  const kinds = (await cluster.kubectl('api-resources', '--verbs=list', '-o', 'name')).trim().split('\n')
  const listed = kinds.filter(kind => !passing.test(kind)).join(',')
  const { items } = await cluster.get<{ items: readonly Listed[] }>(listed, '-A')
  return items
    .filter(
      ({ kind, metadata }) => !except.test(kind === 'Namespace' ? metadata.name : (metadata.namespace ?? '')),
    )
    .map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? '-'} ${metadata.name}`)
    .sort()
}

async function onOne(cluster: Cluster, node: NodeName) {
  const lines = async (...command: string[]) =>
    (await cluster.onNode(node, ['sh', '-c', command.join(' ')])).stdout.split('\n').sort()
  const tree = '/sys/fs/cgroup/unified'
  return {
    links: await lines("ip -br link | awk '{print $1}'"),
    pinned: await lines('find /sys/fs/bpf'),
    // of a pod as a whole: a container that starts again has another one
    cgroups: await lines(`find ${tree} -maxdepth 3 -type d`),
    attached: await lines(`bpftool cgroup tree ${tree} | awk 'NF > 1 {print $2, $3, $4}'`),
    // what the node itself starts for a moment is left out
    programs: (
      await lines(
        `for p in $(find ${tree} -name cgroup.procs -exec cat {} +); do cat /proc/$p/comm 2>/dev/null; done`,
      )
    ).filter(name => /^(node|nats|pause|coredns|containerd-shim)/.test(name)),
    volumes: await lines('find /var/lib/kubelet/pods -mindepth 1 -maxdepth 1'),
  }
}

/** What each node has of its own: links, pinned objects, cgroups, programs attached to them, processes, pods' folders. */
export async function everythingOnNodes(cluster: Cluster) {
  return Promise.all(nodes.map(async node => ({ node: node.name, ...(await onOne(cluster, node)) })))
}
