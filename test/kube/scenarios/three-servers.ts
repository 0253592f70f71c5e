import { expect, it } from 'vitest'
import { inNamespace } from '../../lab/namespaces.ts'
import { runCommand } from '../../lab/run-command.ts'
import { until } from '../../lab/until.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { controlPlane, type NodeName, nodeDirectory, nodes } from '../cluster/names.ts'
import { expectCountedOnce } from '../edge-truth.ts'
import { chart, type Installation } from '../installation.ts'
import { deploymentOf, namespace, peerOf } from '../pods/peers.ts'
import { withServiceMonitors } from './service-monitors.ts'

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

interface JetStreamState {
  readonly account_details: readonly {
    readonly stream_detail: readonly {
      readonly name: string
      readonly cluster: { readonly leader: string }
    }[]
  }[]
}

/** The server that takes what collectors publish, as one of the servers says; undefined while there is none. */
async function leaderOfFlows({ cluster }: Installation, asked: string): Promise<string | undefined> {
  const { status } = await cluster.get<{ status: { podIP: string } }>('pod', ...space, asked)
  const url = `http://${status.podIP}:8222/jsz?accounts=true&streams=true`
  const { stdout } = await runCommand([...inNamespace(controlPlane), 'curl', '-sS', '--max-time', '20', url])
  const { account_details: accounts } = JSON.parse(stdout) as JetStreamState
  const streams = accounts.flatMap(account => account.stream_detail ?? [])
  return streams.find(stream => stream.name.startsWith('SKYBRAID_FLOW_'))?.cluster.leader || undefined
}

/** The example with three servers, two aggregators and volumes, on the cluster. */
export function threeServers(installed: () => Installation, waits: readonly string[]): void {
  it('loses nothing while the server of three that takes the records is deleted under load', async () => {
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
      async () => {
        const status = await installation.status().catch(() => undefined)
        return status?.ingest.nodes.filter(n => n.reporting).length === nodes.length
      },
      { everyMs: 500 },
    )
    await client.start({ name: 'servers', host: server.address, port, every: 10 })
    const names = servers.map(i => `skybraid-nats-${i}`)
    const leader = await until('the records have a leader', () => leaderOfFlows(installation, names[0]!), {
      everyMs: 500,
    })
    const other = names.find(name => name !== leader)!
    await cluster.kubectl(...space, 'delete', 'pod', leader, '--wait=false')
    await until(
      'another server leads',
      async () => {
        const now = await leaderOfFlows(installation, other)
        return now !== undefined && now !== leader
      },
      { everyMs: 200 },
    )
    await cluster.kubectl(...space, 'rollout', 'status', 'statefulset/skybraid-nats', '--timeout=120s')
    const { opened } = await client.stop('servers')
    expect(opened).toBeGreaterThan(100)
    await expectCountedOnce(installation, port, opened)
    expect((await installation.status()).ingest.identity).toMatchObject({ holds: true, lost: {} })
  })
}
