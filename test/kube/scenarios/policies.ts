import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import { nodes } from '../cluster/names.ts'
import { bothEnds, expectEdges, workload } from '../edge-truth.ts'
import type { Installation } from '../installation.ts'
import { dialFrom, withPoliciesEnforced } from '../pods/enforce-policies.ts'
import { killPrograms } from '../pods/kill-programs.ts'
import { peerOf } from '../pods/peers.ts'
import { collectorOf, nextStart } from './restarts.ts'

const ports = { bus: 4222, health: 8222, api: 7100, served: 8095, named: 8096 }
const clientNode = nodes[1]!.name

interface Pod {
  readonly status: {
    readonly podIP: string
    readonly containerStatuses: readonly { readonly ready: boolean; readonly restartCount: number }[]
  }
}

const podOfRelease = ({ cluster }: Installation, name: string) =>
  cluster.get<Pod>('pod', '-n', 'skybraid', name)

/** The aggregator's program is killed and runs again in the same pod. */
async function restartAggregator(installation: Installation): Promise<void> {
  const name = 'skybraid-aggregator-0'
  const state = async () => (await podOfRelease(installation, name)).status.containerStatuses[0]!
  const { restartCount } = await state()
  await killPrograms(installation, 'skybraid', `metadata.name=${name}`)
  await until(
    'the aggregator runs again',
    async () => {
      const now = await state()
      return now.restartCount > restartCount && now.ready
    },
    { timeoutMs: 90_000, everyMs: 500 },
  )
}

/** The policies of the chart, where they are enforced: nobody but who needs it gets through, and who needs it does. */
export function policies(installed: () => Installation): void {
  it('works where its policies are enforced, and who may not reach the bus does not', async () => {
    const installation = installed()
    const { cluster } = installation
    const [client, server] = await Promise.all([peerOf(cluster, 'client'), peerOf(cluster, 'server')])
    const bus = (await podOfRelease(installation, 'skybraid-nats-0')).status.podIP
    const aggregator = (await podOfRelease(installation, 'skybraid-aggregator-0')).status.podIP
    const from = {
      stranger: ['proof', 'deployment/client'],
      shop: ['skybraid', 'deployment/front'],
      collector: ['skybraid-collectors', 'daemonset/skybraid-collector'],
      aggregator: ['skybraid', 'statefulset/skybraid-aggregator'],
    } as const
    const forbidden = [
      [from.stranger, bus, ports.bus],
      [from.stranger, 'skybraid-nats.skybraid', ports.bus],
      [from.stranger, bus, ports.health],
      [from.shop, bus, ports.bus],
      [from.collector, server.address, ports.served],
      [from.collector, aggregator, ports.api],
      [from.aggregator, server.address, ports.served],
    ] as const
    const allowed = [
      [from.stranger, aggregator, ports.api],
      [from.shop, server.address, ports.served],
      [from.collector, 'skybraid-nats.skybraid', ports.bus],
      [from.aggregator, bus, ports.bus],
    ] as const
    const areOpen = async (dials: typeof forbidden | typeof allowed) => {
      for (const [who, host, port] of dials)
        await until(
          `${who[1]} reaches ${host}:${port}`,
          async () => (await dialFrom(cluster, who, host, port)) === 'open',
          { timeoutMs: 30_000, everyMs: 200 },
        )
    }
    const areDropped = async () => {
      for (const [who, host, port] of forbidden)
        expect(await dialFrom(cluster, who, host, port), `${who[1]} to ${host}:${port}`).toBe('nothing')
    }

    await areOpen(forbidden)
    await withPoliciesEnforced(cluster, async () => {
      await areDropped()
      await areOpen(allowed)

      // what was connected before would go on: both begin anew
      const collector = await collectorOf(installation, clientNode)
      await killPrograms(installation, 'skybraid-collectors', `spec.nodeName=${clientNode}`)
      await restartAggregator(installation)
      await nextStart(installation, collector!)
      const dialled = await client.run({ host: server.address, port: ports.named, count: 20 })
      await expectEdges(
        installation,
        edge => edge.port === ports.named,
        [bothEnds({ source: workload('client'), target: workload('server'), port: ports.named }, dialled)],
        60_000,
      )
      expect((await installation.status()).kubernetes.synced).toBe(true)
    })
  })
}
