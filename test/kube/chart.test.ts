import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runCommand } from '../lab/run-command.ts'
import { until } from '../lab/until.ts'
import { Cluster } from './cluster/cluster.ts'
import { ensurePrograms } from './cluster/programs.ts'
import { stageImages } from './images/stage-images.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const chart = `${root}helm/skybraid`
const archives = ['collector', 'aggregator', 'nats'].map(name => `${root}.cache/images/${name}.tar`)
const release = ['skybraid', '-n', 'skybraid']
const values = ['--set', 'demo.enabled=true', '--set', 'demo.requestsPerSecond=20']

interface Edge {
  readonly source: string
  readonly target: string
  readonly observed: string
  readonly tcp?: { readonly opened: number; readonly failures: { readonly refused: number } }
}

let cluster: Cluster

/** What the API says, asked from within the aggregator's pod. */
async function ask<T>(path: string): Promise<T> {
  const { data } = await cluster.get<{ data: { token: string } }>(
    ...['secret', '-n', 'skybraid', 'skybraid-api-token'],
  )
  const token = Buffer.from(data.token, 'base64').toString()
  const init = JSON.stringify({ headers: { authorization: `Bearer ${token}` } })
  const program = `fetch('http://127.0.0.1:7100${path}', ${init}).then(r => r.text()).then(t => console.log(t))`
  const pod = ['-n', 'skybraid', 'exec', 'statefulset/skybraid-aggregator']
  return JSON.parse(await cluster.kubectl(...pod, '--', 'node', '-e', program)) as T
}

/** What there is to see when something does not become true. */
async function diagnosis(): Promise<string> {
  const pods = await cluster.tryKubectl('get', 'pods', '-A', '-o', 'wide')
  const logs = await cluster.tryKubectl(
    ...['-n', 'skybraid-collectors', 'logs', 'daemonset/skybraid-collector', '--tail=20'],
  )
  const aggregator = await cluster.tryKubectl(
    ...['-n', 'skybraid', 'logs', 'statefulset/skybraid-aggregator', '--tail=20'],
  )
  return [pods, logs, aggregator].map(({ stdout, stderr }) => stdout + stderr).join('\n')
}

beforeAll(async () => {
  await Cluster.down()
  cluster = await Cluster.up({ images: await stageImages(await ensurePrograms()) })
  await runCommand(['bash', `${root}scripts/images.sh`])
  await cluster.load(archives)
  await cluster.kubectl('create', 'namespace', 'skybraid')
  await cluster.kubectl('label', 'namespace', 'skybraid', 'pod-security.kubernetes.io/enforce=restricted')
})

afterAll(() => Cluster.down())

it('installs, every pod becomes ready, and its own test sees a connection from both ends', async () => {
  await cluster
    .helm('install', ...release, chart, ...values, '--wait', '--timeout', '150s')
    .catch(async error => {
      throw new Error(`${error.message}\n${await diagnosis()}`)
    })
  await cluster.helm('test', ...release, '--timeout', '120s').catch(async error => {
    throw new Error(`${error.message}\n${await diagnosis()}`)
  })
})

it('shows the demo shop by workloads, both ends of every call, and the refused one', async () => {
  const shop = (name: string) => `workload/skybraid/Deployment/${name}`
  const calls = [
    [shop('customers'), shop('front')],
    [shop('front'), shop('catalog')],
    [shop('front'), shop('orders')],
  ]
  let edges: Edge[] = []
  const isCalled = ([from, to]: string[]) =>
    edges.some(e => e.source === from && e.target === to && e.observed === 'both' && e.tcp!.opened > 0)
  const isRefused = () =>
    edges.some(e => e.target === 'service/skybraid/payments' && e.tcp!.failures.refused > 0)
  await until(
    'the edges of the shop',
    async () => {
      ;({ edges } = await ask<{ edges: Edge[] }>('/topology?groupBy=workload&limit=500'))
      return calls.every(isCalled) && isRefused()
    },
    { timeoutMs: 60_000, everyMs: 1_000, describe: () => JSON.stringify(edges) },
  )
})

it('shows nothing to who has no token', async () => {
  const program = `fetch('http://skybraid/topology').then(r => console.log(r.status))`
  const pod = ['-n', 'skybraid', 'exec', 'statefulset/skybraid-aggregator']
  expect(await cluster.kubectl(...pod, '--', 'node', '-e', program)).toBe('401\n')
})

it('is upgraded and rolled back while the shop goes on, and keeps its logins', async () => {
  const secrets = () =>
    Promise.all(
      ['skybraid-nats', 'skybraid-api-token'].map(
        async name => (await cluster.get<{ data: object }>('secret', '-n', 'skybraid', name)).data,
      ),
    )
  const before = await secrets()
  const more = ['--set', 'aggregator.config.log-level=debug', '--wait', '--timeout', '150s']
  await cluster.helm('upgrade', ...release, chart, ...values, ...more)
  await cluster.helm('rollback', ...release, '--wait', '--timeout', '150s')
  expect(await secrets()).toEqual(before)
  await cluster.helm('test', ...release, '--timeout', '120s').catch(async error => {
    throw new Error(`${error.message}\n${await diagnosis()}`)
  })
})

it('leaves nothing when it is uninstalled', async () => {
  await cluster.helm('uninstall', ...release, '--wait', '--timeout', '150s')
  const left = await cluster.kubectl(
    ...['get', 'all,configmap,secret,serviceaccount,networkpolicy', '-n', 'skybraid', '-o', 'name'],
  )
  expect(left.split('\n').filter(l => l && !/kube-root-ca.crt|serviceaccount\/default|ci-/.test(l))).toEqual(
    [],
  )
  const kinds = await cluster.kubectl(
    'get',
    'clusterrole,clusterrolebinding,namespace,priorityclass',
    '-o',
    'name',
  )
  expect(kinds.split('\n').filter(l => l.includes('skybraid') && l !== 'namespace/skybraid')).toEqual([])
})
