import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import { nodes } from '../cluster/names.ts'
import { expectCountedOnce } from '../edge-truth.ts'
import type { Installation, Status } from '../installation.ts'
import { killPrograms } from '../pods/kill-programs.ts'
import { peerOf } from '../pods/peers.ts'

const port = 8093
const [serverNode, clientNode] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]

export type NodeStatus = Status['ingest']['nodes'][number]

/** What the aggregator says of a node's collector; undefined while it cannot be asked. */
export async function collectorOf(installation: Installation, node: string): Promise<NodeStatus | undefined> {
  const status = await installation.status().catch(() => undefined)
  return status?.ingest.nodes.find(n => n.node === node)
}

/** Waits until another start of the node's collector than this one is heard. */
export async function nextStart(installation: Installation, before: NodeStatus): Promise<NodeStatus> {
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

    await killPrograms(installation, 'skybraid-collectors', `spec.nodeName=${serverNode.name}`)
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
    await expectCountedOnce(installation, port, opened)
    const { ingest } = await installation.status()
    expect(ingest.identity).toMatchObject({ holds: true, lost: {} })
    // who was killed is still said by the aggregator that came after
    const killed = ingest.nodes.filter(node => node.uncleanRestart).map(node => node.node)
    expect(killed).toEqual([serverNode.name])
  })
}
