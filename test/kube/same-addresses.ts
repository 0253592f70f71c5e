import { until } from '../lab/until.ts'
import { nodeNamed, nodes, registry } from './cluster/names.ts'
import type { Installation } from './installation.ts'
import { namespace, type Peer } from './pods/peers.ts'

const node = nodes[0]!.name
const together = 10
const firstPort = 20_000
/** The first of the addresses that they have; nobody else gets so far. */
const firstAddress = '10.242.1.150'

interface Dial {
  readonly pod: string
  readonly address: string
  readonly port: number
}

/** The next pod on the node is given this address: the plug-in goes on after the one that it gave last. */
export async function giveNext({ cluster }: Installation, on: string, address: string): Promise<void> {
  const parts = address.split('.').map(Number)
  const before = [...parts.slice(0, 3), parts[3]! - 1].join('.')
  const write = `printf %s ${before} > /run/cni-ipam/skykube/last_reserved_ip.0`
  await cluster.onNode(nodeNamed(on), ['sh', '-c', write])
}

/**
 * Ten pods at a time, each of which has an address that another one had seconds before; every one is dialled once, and
 * refuses, so that only the address tells whom it meant. Answers how many the topology names, and which wrongly.
 */
export async function dialPodsAtTheSameAddresses(installation: Installation, client: Peer, rounds: number) {
  const dials: Dial[] = []
  for (let round = 0; round < rounds; round++)
    dials.push(...(await liveTogether(installation, client, round)))
  // each on a port of its own: so each is an edge, whatever its end is called
  let targets = new Map<number, string>()
  const isMeant = (port: number) => port >= firstPort && port < firstPort + dials.length
  await until(
    'every dial is told of',
    async () => {
      const { edges } = await installation.topology('pod')
      const meant = edges.filter(edge => isMeant(edge.port) && edge.tcp?.failures.refused === 1)
      targets = new Map(meant.map(edge => [edge.port, edge.target]))
      return targets.size === dials.length
    },
    { timeoutMs: 30_000, everyMs: 500, describe: () => `${targets.size} of ${dials.length}` },
  )
  const called = dials.map(({ pod, port }) => ({ pod, as: targets.get(port)! }))
  const named = called.filter(({ as }) => as.startsWith('pod/'))
  return {
    pods: new Set(dials.map(({ pod }) => pod)).size,
    addresses: new Set(dials.map(({ address }) => address)).size,
    named: named.length,
    wrong: named.filter(({ pod, as }) => as !== `pod/${namespace}/${pod}`),
  }
}

/** Ten pods, each dialled once as soon as it is known where it is, and gone before this is over. */
async function liveTogether(installation: Installation, client: Peer, round: number): Promise<Dial[]> {
  const { cluster } = installation
  const own = ['-n', namespace]
  const names = Array.from({ length: together }, (_, i) => `brief-${round}-${i}`)
  await giveNext(installation, node, firstAddress)
  await cluster.apply(names.map(idlePod))
  const addresses = await until(
    `the addresses of the pods of round ${round}`,
    async () => {
      const selector = ['pods', ...own, '-l', 'app=brief']
      const { items } = await cluster.get<{ items: readonly PodWithAddress[] }>(...selector)
      const known = items.flatMap(({ metadata, status }) =>
        status.podIP ? [[metadata.name, status.podIP] as const] : [],
      )
      return known.length === together && new Map(known)
    },
    { everyMs: 100 },
  )
  const dials = names.map((pod, i) => ({
    pod,
    address: addresses.get(pod)!,
    port: firstPort + round * together + i,
  }))
  for (const { address, port } of dials) {
    const { failed } = await client.run({ host: address, port, count: 1 })
    if (failed.ECONNREFUSED !== 1) throw new Error(`${address}:${port}: ${JSON.stringify(failed)}`)
  }
  await cluster.kubectl(...own, 'delete', 'pod', ...names)
  return dials
}

interface PodWithAddress {
  readonly metadata: { readonly name: string }
  readonly status: { readonly podIP?: string }
}

/** A pod that does nothing and ends at once when it is told to. */
const idlePod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { app: 'brief' } },
  spec: {
    nodeName: node,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    containers: [{ name: 'idle', image: `${registry}/pause:1`, imagePullPolicy: 'Never' }],
  },
})
