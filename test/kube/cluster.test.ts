import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../lab/until.ts'
import { Cluster } from './cluster/cluster.ts'
import { machine } from './cluster/leftovers.ts'
import { everyObject, everythingOnNodes } from './everything.ts'
import { type Edge, Installation } from './installation.ts'
import { namespace } from './pods/peers.ts'
import { access } from './scenarios/access.ts'
import { addressReuse } from './scenarios/address-reuse.ts'
import { apiServer } from './scenarios/api-server.ts'
import { freshCluster } from './scenarios/fresh-cluster.ts'
import { manifests } from './scenarios/manifests.ts'
import { names } from './scenarios/names.ts'
import { policies } from './scenarios/policies.ts'
import { restarts } from './scenarios/restarts.ts'
import { rollout } from './scenarios/rollout.ts'
import { shopCounts } from './scenarios/shop.ts'
import { threeServers } from './scenarios/three-servers.ts'
import { upgrade } from './scenarios/upgrade.ts'

// one cluster and one installation for all of it: what is installed is looked at from every side before it goes
const values = [
  'demo.enabled=true',
  'demo.requestsPerSecond=20',
  'aggregator.config.api-auth=kubernetes',
].flatMap(value => ['--set', value])
const waits = ['--wait', '--timeout', '150s']

let installation: Installation
let cluster: Cluster
let before: Awaited<ReturnType<typeof machine>>
let beforeInstall: Awaited<ReturnType<typeof everything>>

/** All objects but those of the dry runs, which are on their way out, and all that the nodes have. */
const everything = async () => ({
  objects: await everyObject(cluster, /^dry-run/),
  nodes: await everythingOnNodes(cluster),
})

beforeAll(async () => {
  await Cluster.down()
  before = await machine()
  installation = await Installation.prepare()
  cluster = installation.cluster
})

afterAll(() => Cluster.down())

freshCluster(() => cluster)
manifests(() => installation)

it('installs, every pod becomes ready, and within 90 s the shop is there by workloads, both ends of every call', async () => {
  beforeInstall = await everything()
  await cluster.kubectl('create', 'namespace', namespace)
  const begun = performance.now()
  const said = await installation.helm('install', ...values, ...waits)
  const next = said.slice(said.indexOf('NOTES:')).match(/^ {2}(kubectl -n skybraid [a-z-]+|helm test)\b/gm)
  expect(next?.map(line => line.trim())).toEqual([
    'kubectl -n skybraid port-forward',
    'kubectl -n skybraid get',
    'helm test',
  ])
  const shop = (name: string) => `workload/skybraid/Deployment/${name}`
  const calls = [
    [shop('customers'), shop('front')],
    [shop('front'), shop('catalog')],
    [shop('front'), shop('orders')],
  ]
  let edges: readonly Edge[] = []
  const isCalled = ([from, to]: string[]) =>
    edges.some(e => e.source === from && e.target === to && e.observed === 'both' && e.tcp!.opened > 0)
  const isRefused = () =>
    edges.some(e => e.target === 'service/skybraid/payments' && e.tcp!.failures.refused > 0)
  await until(
    'the edges of the shop',
    async () => {
      ;({ edges } = await installation.topology())
      return calls.every(isCalled) && isRefused()
    },
    { timeoutMs: 60_000, everyMs: 250, describe: () => JSON.stringify(edges) },
  )
  const seconds = (performance.now() - begun) / 1000
  console.log(`from helm install to a map with both ends: ${seconds.toFixed(1)} s`)
  expect(seconds).toBeLessThan(90)
})

it('passes its own test: a connection between nodes is observed from both ends', async () => {
  await installation.helm('test', '--timeout', '120s')
})

it('shows nothing to who has no token', async () => {
  const program = `fetch('http://skybraid/topology').then(r => console.log(r.status))`
  const pod = ['-n', 'skybraid', 'exec', 'statefulset/skybraid-aggregator']
  expect(await cluster.kubectl(...pod, '--', 'node', '-e', program)).toBe('401\n')
})

shopCounts(() => installation)
names(() => installation)
addressReuse(() => installation)
rollout(() => installation)
apiServer(() => installation)
access(() => installation)
restarts(() => installation)
policies(() => installation)
upgrade(() => installation, values, waits)

it('leaves nothing in the cluster and on the nodes when it is uninstalled', async () => {
  await installation.helm('uninstall', ...waits)
  await cluster.kubectl('delete', 'namespace', namespace)
  let left: Awaited<ReturnType<typeof everything>> | undefined
  await until(
    'all is as it was before it was installed',
    async () => {
      left = await everything()
      return isDeepStrictEqual(left, beforeInstall)
    },
    { timeoutMs: 60_000, everyMs: 1_000 },
  ).catch(() => expect(left).toEqual(beforeInstall))
})

threeServers(() => installation, waits)

it('leaves nothing on the machine when the cluster is taken down', async () => {
  await Cluster.down()
  expect(await machine()).toEqual(before)
})
