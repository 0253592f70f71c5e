import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import { nodes } from '../cluster/names.ts'
import { type TrueEdge, workload } from '../edge-truth.ts'
import type { Edge, Installation, Status } from '../installation.ts'
import { peerOf } from '../pods/peers.ts'

const port = 8093
const [serverNode, clientNode] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]

type NodeStatus = Status['ingest']['nodes'][number]

/** What the aggregator says of a node's collector; undefined while it cannot be asked. */
async function collectorOf(installation: Installation, node: string): Promise<NodeStatus | undefined> {
  const status = await installation.status().catch(() => undefined)
  return status?.ingest.nodes.find(n => n.node === node)
}

/** Waits until another start of the node's collector than this one is heard. */
async function nextStart(installation: Installation, before: NodeStatus): Promise<NodeStatus> {
  return until(
    `another start of the collector on ${before.node} is heard`,
    async () => {
      const now = await collectorOf(installation, before.node)
      return now !== undefined && now.bootId !== before.bootId && now.reporting && now
    },
    { timeoutMs: 90_000, everyMs: 500 },
  )
}

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly uid: string }
  }[]
}

async function collectorPod({ cluster }: Installation, node: string) {
  const { items } = await cluster.get<Pods>(
    ...['pods', '-n', 'skybraid-collectors', '--field-selector', `spec.nodeName=${node}`],
  )
  return items[0]!.metadata
}

/** Kills the program itself, as the kernel does when memory is short: it has no time for anything. */
async function killCollector(installation: Installation, node: (typeof nodes)[0]): Promise<void> {
  const { uid } = await collectorPod(installation, node.name)
  const pods = `/sys/fs/cgroup/unified/kubepods/burstable/pod${uid}`
  const script = `for p in $(cat ${pods}/*/cgroup.procs); do if [ "$(cat /proc/$p/comm)" != pause ]; then kill -9 $p; fi; done`
  await installation.cluster.onNode(node, ['sh', '-c', script])
}

export function restarts(installed: () => Installation): void {
  it('counts every connection once while collectors and the aggregator are deleted and killed', async () => {
    const installation = installed()
    const { cluster } = installation
    const [client, server] = await Promise.all([peerOf(cluster, 'client'), peerOf(cluster, 'server')])
    const load = { name: 'restarts', host: server.address, port }
    await client.start({ ...load, every: 10 })
    const [onClient, onServer] = await Promise.all(
      [clientNode, serverNode].map(node => collectorOf(installation, node.name)),
    )

    const pod = await collectorPod(installation, clientNode.name)
    await cluster.kubectl('-n', 'skybraid-collectors', 'delete', 'pod', pod.name, '--wait=false')
    expect(await nextStart(installation, onClient!)).toMatchObject({ uncleanRestart: false })

    await killCollector(installation, serverNode)
    expect(await nextStart(installation, onServer!)).toMatchObject({ uncleanRestart: true })

    await cluster.kubectl('-n', 'skybraid', 'delete', 'pod', 'skybraid-aggregator-0')
    await cluster.kubectl(
      '-n',
      'skybraid',
      'rollout',
      'status',
      'statefulset/skybraid-aggregator',
      '--timeout=90s',
    )

    const { opened } = await client.stop('restarts')
    expect(opened).toBeGreaterThan(500)
    const isMeant = (edge: Edge) => edge.port === port
    let seen: readonly Partial<TrueEdge>[] = []
    const expected = [{ source: workload('client'), target: workload('server'), observed: 'both', opened }]
    await until(
      'every connection is counted once',
      async () => {
        const edges = await installation.topology().then(
          answer => answer.edges,
          () => [],
        )
        seen = edges.filter(isMeant).map(({ source, target, observed, tcp }) => ({
          source,
          target,
          observed,
          opened: tcp!.opened,
        }))
        return JSON.stringify(seen) === JSON.stringify(expected)
      },
      { timeoutMs: 90_000, everyMs: 500 },
    ).catch(() => expect(seen).toEqual(expected))
    const { ingest } = await installation.status()
    expect(ingest.identity).toMatchObject({ holds: true, lost: {} })
    // who was killed is still said by the aggregator that came after
    const killed = ingest.nodes.filter(node => node.uncleanRestart).map(node => node.node)
    expect(killed).toEqual([serverNode.name])
  })
}
