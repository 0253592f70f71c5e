import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { requestsOf } from '../kube/audit.ts'
import { Cluster } from '../kube/cluster/cluster.ts'
import { nodes } from '../kube/cluster/names.ts'
import { whyNoCluster } from '../kube/cluster/programs.ts'
import { Installation } from '../kube/installation.ts'
import { type PodCost, podCostReader } from '../kube/pod-cost.ts'
import { namespace, peerAt, peerOf, podOf } from '../kube/pods/peers.ts'
import { dialPodsAtTheSameAddresses } from '../kube/same-addresses.ts'
import { until } from '../lab/until.ts'
import { compiled } from './bench-program.ts'
import type { Figure, Measurement, Skipped } from './figure.ts'
import { percentile, spread } from './statistics.ts'

const [serverNode, clientNode] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
const batches = 10
const podsPerBatch = 5
const singles = 20
const newPerSecond = 2_000
const seconds = 30

const name = {
  install: 'kube: helm install → every pod ready and the demo shop’s edges seen from both ends',
  named: 'kube: first connection of a new pod → named by its pod in /topology, p99',
  created: 'kube: pod created → named in /topology, container start included, p99',
  sameAddress: 'kube: pods with the address of another seconds before, called by the name of another',
  restMemory: 'kube: collector pod at rest, memory of its cgroup',
  restAnonymous: 'kube: collector pod at rest, anonymous memory',
  restCpu: 'kube: collector pod at rest, CPU',
  loadMemory: 'kube: collector pod at 2,000 connections/s, memory of its cgroup',
  loadAnonymous: 'kube: collector pod at 2,000 connections/s, anonymous memory',
  loadCpu: 'kube: collector pod at 2,000 connections/s, CPU',
  requests: 'kube: requests to the API server at rest that are no watch, per minute',
}

async function measureInstall(installation: Installation): Promise<Figure> {
  const begun = performance.now()
  const values = ['--set', 'demo.enabled=true', '--wait', '--timeout', '150s']
  await installation.helm('install', ...values)
  const calls = ['customers→front', 'front→catalog', 'front→orders', 'orders→catalog']
  await until(
    'the shop’s edges',
    async () => {
      const { edges } = await installation.topology()
      const last = (id: string) => id.split('/').at(-1)
      const seen = edges.filter(e => e.observed === 'both').map(e => `${last(e.source)}→${last(e.target)}`)
      return calls.every(call => seen.includes(call))
    },
    { timeoutMs: 90_000, everyMs: 100 },
  )
  const method = 'real Kubernetes of two nodes on one machine, images present; once'
  return { name: name.install, value: (performance.now() - begun) / 1000, unit: 's', reach: '<= 90', method }
}

/** New pods that dial as soon as they run, five at a time; the topology is asked over and over meanwhile. */
async function measureNames(installation: Installation): Promise<Figure> {
  const { cluster } = installation
  await cluster.apply([podOf({ name: 'bench-server', node: serverNode.name, listen: [8081] })])
  const server = await peerOf(cluster, 'bench-server')
  const fromConnection: number[] = []
  for (let batch = 0; batch < batches; batch++) {
    const names = Array.from({ length: podsPerBatch }, (_, i) => `bench-${batch}-${i}`)
    const dial = { host: server.address, port: 8081, count: 1 }
    await cluster.apply(names.map(pod => podOf({ name: pod, node: clientNode.name, dial })))
    const namedMs = new Map<string, number>()
    await until(
      'every new pod is named',
      async () => {
        const { edges } = await installation.topology('pod')
        for (const pod of names)
          if (!namedMs.has(pod) && edges.some(e => e.source === `pod/${namespace}/${pod}`))
            namedMs.set(pod, Date.now())
        return namedMs.size === names.length
      },
      { timeoutMs: 60_000, everyMs: 50 },
    )
    for (const pod of names) {
      const address = await cluster.kubectl(
        '-n',
        namespace,
        'get',
        'pod',
        pod,
        '-o',
        'jsonpath={.status.podIP}',
      )
      const { firstOpenedMs } = await peerAt(address).started('boot')
      fromConnection.push(namedMs.get(pod)! - firstOpenedMs!)
    }
    await cluster.kubectl('-n', namespace, 'delete', 'pod', ...names, '--wait=false')
  }
  const method = `${fromConnection.length} pods, ${podsPerBatch} created at a time, /topology asked all the time; wall clock of one machine`
  return {
    name: name.named,
    value: percentile(fromConnection, 99),
    unit: 'ms',
    reach: '<= 2000',
    spread: spread(fromConnection),
    method,
  }
}

/** Pods one at a time, of a program that dials at once and needs no time to start itself. */
async function measureCreated(installation: Installation): Promise<Figure> {
  const { cluster } = installation
  const program = await compiled('connections')
  const { address } = await peerOf(cluster, 'bench-server')
  const tookMs: number[] = []
  for (let i = 0; i < singles; i++) {
    const pod = `bench-single-${i}`
    const createdMs = Date.now()
    await cluster.apply([programPod(pod, clientNode.name, program, ['hold', address, '8081', '1'])])
    await until(
      `${pod} is named`,
      async () => {
        const { edges } = await installation.topology('pod')
        return edges.some(edge => edge.source === `pod/${namespace}/${pod}`)
      },
      { everyMs: 20 },
    )
    tookMs.push(Date.now() - createdMs)
    await cluster.kubectl('-n', namespace, 'delete', 'pod', pod, '--wait=false')
  }
  const method = `${singles} pods one after the other, kubectl's own start included; /topology asked all the time`
  return {
    name: name.created,
    value: percentile(tookMs, 99),
    unit: 'ms',
    reach: '<= 2000',
    spread: spread(tookMs),
    method,
  }
}

async function measureSameAddresses(installation: Installation): Promise<Figure> {
  await installation.cluster.apply([podOf({ name: 'bench-client', node: clientNode.name })])
  const client = await peerOf(installation.cluster, 'bench-client')
  const { pods, addresses, named, wrong } = await dialPodsAtTheSameAddresses(installation, client, 10)
  const method = `${pods} pods at ${addresses} addresses, each dialled once and refusing; ${named} were named`
  return { name: name.sameAddress, value: wrong.length, unit: 'pods', reach: '<= 0', method }
}

/** Memory at its largest and the share of one core, over a time. */
async function observe(read: () => Promise<PodCost>) {
  const costs = [await read()]
  const begun = performance.now()
  for (let second = 0; second < seconds; second++) {
    await sleep(1_000)
    costs.push(await read())
  }
  const elapsedNs = (performance.now() - begun) * 1e6
  return {
    memory: Math.max(...costs.map(cost => cost.memoryMib)),
    anonymous: Math.max(...costs.map(cost => cost.anonymousMib)),
    cpuPercent: ((costs.at(-1)!.cpuNs - costs[0]!.cpuNs) / elapsedNs) * 100,
  }
}

async function measureRest(read: () => Promise<PodCost>): Promise<Figure[]> {
  const before = (await requestsOf('skybraid-aggregator')).filter(event => event.verb !== 'watch').length
  const { memory, anonymous, cpuPercent } = await observe(read)
  const after = (await requestsOf('skybraid-aggregator')).filter(event => event.verb !== 'watch').length
  const method = `${seconds} s without the shop; kubelets, probes and the cluster itself go on; largest of one reading a second`
  return [
    { name: name.restMemory, value: memory, unit: 'MiB', reach: '<= 80', method },
    { name: name.restAnonymous, value: anonymous, unit: 'MiB', reach: '', method },
    { name: name.restCpu, value: cpuPercent, unit: '% of one core', reach: '<= 0.5', method },
    {
      name: name.requests,
      value: ((after - before) * 60) / seconds,
      unit: 'requests',
      reach: '<= 0',
      method: `audit log of the API server, ${seconds} s`,
    },
  ]
}

/** A pod that runs a program of the bench, which lies on the machine; it gets the processor before who asked for none. */
function programPod(podName: string, node: string, program: string, args: readonly string[]) {
  const { spec, ...pod } = podOf({ name: podName, node })
  const [container] = spec.containers
  const command = ['/bench/connections', ...args]
  return {
    ...pod,
    spec: {
      ...spec,
      restartPolicy: 'Never',
      containers: [
        {
          ...container,
          command,
          resources: { requests: { cpu: '600m' } },
          volumeMounts: [{ name: 'bench', mountPath: '/bench' }],
        },
      ],
      volumes: [{ name: 'bench', hostPath: { path: dirname(program) } }],
    },
  }
}

async function measureLoad(
  installation: Installation,
  read: () => Promise<PodCost>,
): Promise<(Figure | Skipped)[]> {
  const { cluster } = installation
  const program = await compiled('connections')
  const phaseOf = (pod: string, path: string) =>
    cluster.kubectl('-n', namespace, 'get', 'pod', pod, '-o', `jsonpath={.status.${path}}`)
  await cluster.apply([programPod('bench-load-server', serverNode.name, program, ['server', '9100'])])
  const running = async (pod: string) => (await phaseOf(pod, 'phase')) === 'Running'
  await until('the server runs', () => running('bench-load-server'), { timeoutMs: 60_000, everyMs: 200 })
  const host = await phaseOf('bench-load-server', 'podIP')
  const churn = ['churn', host, '9100', `${newPerSecond}`, `${seconds + 15}`]
  await cluster.apply([programPod('bench-load-client', clientNode.name, program, churn)])
  await until('the client runs', () => running('bench-load-client'), { timeoutMs: 60_000, everyMs: 200 })
  await sleep(5_000)
  const opened = async () => {
    const { edges } = await installation.topology()
    return edges.find(edge => edge.port === 9_100)?.tcp?.opened ?? 0
  }
  const before = await opened()
  const begun = performance.now()
  const { memory, anonymous, cpuPercent } = await observe(read)
  const perSecond = Math.round(((await opened()) - before) / ((performance.now() - begun) / 1_000))
  if (perSecond < 0.9 * newPerSecond) {
    const skipped = `the machine was too busy: ${perSecond} connections/s came about, with ${memory.toFixed(1)} MiB and ${cpuPercent.toFixed(1)} %`
    return [name.loadMemory, name.loadAnonymous, name.loadCpu].map(figure => ({ name: figure, skipped }))
  }
  const method = `${seconds} s on the node of the server, at ${perSecond} connections/s as the topology has them`
  return [
    { name: name.loadMemory, value: memory, unit: 'MiB', reach: '<= 80', method },
    { name: name.loadAnonymous, value: anonymous, unit: 'MiB', reach: '', method },
    { name: name.loadCpu, value: cpuPercent, unit: '% of one core', reach: '<= 5', method },
  ]
}

/** Measures in a new cluster that has the chart's images. */
function inCluster(
  names: readonly string[],
  measure: (installation: Installation) => Promise<readonly (Figure | Skipped)[]>,
): Measurement {
  return {
    names,
    kernel: true,
    cleanUp: takeDown,
    async measure() {
      const obstacle = whyNoCluster()
      if (obstacle !== '') return names.map(skipped => ({ name: skipped, skipped: obstacle }))
      await Cluster.down()
      try {
        const installation = await Installation.prepare()
        await installation.cluster.kubectl('create', 'namespace', namespace)
        return await measure(installation)
      } finally {
        await Cluster.down()
      }
    },
  }
}

async function measurePod(installation: Installation): Promise<(Figure | Skipped)[]> {
  await installation.helm('install', '--wait', '--timeout', '150s')
  const onServerNode = ['--field-selector', `spec.nodeName=${serverNode.name}`]
  const read = await podCostReader(installation, 'skybraid-collectors', ...onServerNode)
  return [...(await measureRest(read)), ...(await measureLoad(installation, read))]
}

/** By a process of its own: in this one `measure` may still be on its way up. */
function takeDown(): void {
  const cli = fileURLToPath(new URL('../kube/cli.ts', import.meta.url))
  spawnSync(process.execPath, [cli, 'down'], { stdio: 'inherit' })
}

export const measurements: readonly Measurement[] = [
  inCluster([name.install, name.named, name.created, name.sameAddress], async installation => [
    await measureInstall(installation),
    await measureNames(installation),
    await measureCreated(installation),
    await measureSameAddresses(installation),
  ]),
  inCluster(
    [
      name.restMemory,
      name.restAnonymous,
      name.restCpu,
      name.requests,
      name.loadMemory,
      name.loadAnonymous,
      name.loadCpu,
    ],
    measurePod,
  ),
]
