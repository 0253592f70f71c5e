import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { type NodeName, nodeDirectory, nodes } from '../cluster/names.ts'
import { expectCountedOnce } from '../edge-truth.ts'
import { chart, type Installation } from '../installation.ts'
import { deploymentOf, namespace, peerOf } from '../pods/peers.ts'
import { withoutServiceMonitors, withServiceMonitors } from './service-monitors.ts'

const port = 8097
const servers = [0, 1, 2]
const space = ['-n', 'skybraid']

/** A folder of a node as a volume, which is what there is where nothing makes volumes by itself. */
async function volumeOn(cluster: Cluster, node: NodeName, name: string): Promise<object> {
  const path = `${nodeDirectory(node)}/volumes/${name}`
  await cluster.onNode(node, ['mkdir', '-p', path])
  const onNode = { key: 'kubernetes.io/hostname', operator: 'In', values: [node.name] }
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '5Gi' },
      accessModes: ['ReadWriteOnce'],
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } },
    },
  }
}

/** Every server of the bus goes once, one after the other; the next one once all are there again. */
async function deleteEachServer({ cluster }: Installation): Promise<void> {
  for (const i of servers) {
    await cluster.kubectl(...space, 'delete', 'pod', `skybraid-nats-${i}`)
    await cluster.kubectl(...space, 'rollout', 'status', 'statefulset/skybraid-nats', '--timeout=120s')
  }
}

/** The example with three servers, two aggregators and volumes, on the cluster. */
export function threeServers(installed: () => Installation, waits: readonly string[]): void {
  it('loses nothing while each of three servers of the bus is deleted under load', async () => {
    const installation = installed()
    const { cluster } = installation
    await withServiceMonitors(cluster)
    const volumes = servers.map(i => volumeOn(cluster, nodes[i % nodes.length]!, `nats-${i}`))
    await cluster.apply(await Promise.all(volumes))
    await installation.helm('install', '-f', `${chart}/ci/three-servers-values.yaml`, ...waits)
    await cluster.kubectl('create', 'namespace', namespace)
    await cluster.apply([
      deploymentOf({ name: 'server', node: nodes[0]!.name, listen: [port] }),
      deploymentOf({ name: 'client', node: nodes[1]!.name }),
    ])
    const [client, server] = await Promise.all([peerOf(cluster, 'client'), peerOf(cluster, 'server')])
    await until(
      'both collectors report',
      async () => (await installation.status()).ingest.nodes.filter(n => n.reporting).length === nodes.length,
      { everyMs: 500 },
    )
    await client.start({ name: 'servers', host: server.address, port, every: 10 })
    await deleteEachServer(installation)
    const { opened } = await client.stop('servers')
    expect(opened).toBeGreaterThan(500)
    await expectCountedOnce(installation, port, opened)
    expect((await installation.status()).ingest.identity).toMatchObject({ holds: true, lost: {} })
    await installation.helm('uninstall', ...waits)
    await withoutServiceMonitors(cluster)
    // what was kept stays until somebody deletes it
    const kept = await cluster.kubectl('get', 'persistentvolumeclaim', ...space, '-o', 'name')
    expect(kept.trim().split('\n')).toEqual(servers.map(i => `persistentvolumeclaim/data-skybraid-nats-${i}`))
  })
}
