// Serves lists of invented objects as an API server pages them, and watches in which nothing happens. Arguments: pods,
// services, nodes. Prints its address. In a process of its own, so that what it needs is not counted.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const [pods = 0, services = 0, nodes = 0] = process.argv.slice(2).map(Number)
const workloads = Math.ceil(pods / 5)
const created = '2026-01-01T00:00:00Z'

const hex = (text: string, length: number) => createHash('sha256').update(text).digest('hex').slice(0, length)
function uid(text: string): string {
  const h = hex(text, 32)
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`
}
const ip = (network: number, i: number) => `${network}.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`
const metadataOf = (kind: string, i: number, name: string, more: object = {}) => ({
  name,
  namespace: `team-${i % 50}`,
  uid: uid(`${kind} ${i}`),
  resourceVersion: String(100_000 + i),
  creationTimestamp: created,
  ...more,
})

/** What nobody reads of a pod is most of it: managed fields, environment, conditions. */
const padding = {
  managedFields: Array.from({ length: 4 }, (_, i) => ({
    manager: `kubelet-${i}`,
    operation: 'Update',
    apiVersion: 'v1',
    time: created,
    fieldsType: 'FieldsV1',
    fieldsV1: {
      'f:status': Object.fromEntries(
        Array.from({ length: 24 }, (_, f) => [`f:field-${f}`, { '.': {}, 'f:x': {} }]),
      ),
    },
  })),
}
const env = Array.from({ length: 30 }, (_, i) => ({
  name: `SETTING_NUMBER_${i}`,
  value: `value-of-setting-${i}`,
}))

function podOf(i: number): object {
  const set = i % workloads
  const name = `app-${set}-${hex(`rs${set}`, 9)}-${hex(`p${i}`, 5)}`
  const labels = {
    app: `app-${set}`,
    'pod-template-hash': hex(`rs${set}`, 9),
    tier: `tier-${set % 3}`,
    version: 'v1',
  }
  const owner = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name: `app-${set}-${hex(`rs${set}`, 9)}`,
    uid: uid(`rs ${set}`),
  }
  const container = (part: string) => ({
    name: part,
    image: `registry.example/${part}:1`,
    containerID: `containerd://${hex(`${i}${part}`, 64)}`,
    state: { running: { startedAt: created } },
    ready: true,
  })
  return {
    metadata: metadataOf('pod', set, name, {
      uid: uid(`pod ${i}`),
      labels,
      ownerReferences: [{ ...owner, controller: true }],
      ...padding,
    }),
    spec: {
      nodeName: `node-${i % Math.max(1, nodes)}.example`,
      restartPolicy: 'Always',
      containers: [
        { name: 'main', env },
        { name: 'proxy', env },
      ],
    },
    status: {
      phase: 'Running',
      startTime: created,
      podIP: ip(10, i + 1),
      podIPs: [{ ip: ip(10, i + 1) }],
      conditions: Array.from({ length: 5 }, (_, c) => ({
        type: `Condition${c}`,
        status: 'True',
        lastTransitionTime: created,
      })),
      containerStatuses: [container('main'), container('proxy')],
    },
  }
}

const kinds: Record<string, { readonly count: number; readonly make: (i: number) => object }> = {
  '/api/v1/pods': { count: pods, make: podOf },
  '/api/v1/services': {
    count: services,
    make: i => ({
      metadata: metadataOf('svc', i, `app-${i}`),
      spec: { clusterIP: ip(172, i + 1), clusterIPs: [ip(172, i + 1)], ports: [{ port: 80 }] },
      status: {},
    }),
  },
  '/apis/discovery.k8s.io/v1/endpointslices': {
    count: services,
    make: i => ({
      metadata: metadataOf('eps', i, `app-${i}-x`, { labels: { 'kubernetes.io/service-name': `app-${i}` } }),
      endpoints: Array.from({ length: Math.floor(pods / Math.max(1, services)) }, (_, n) => ({
        addresses: [ip(10, i + n * workloads + 1)],
        targetRef: { kind: 'Pod', uid: uid(`pod ${i + n * workloads}`) },
      })),
    }),
  },
  '/api/v1/nodes': {
    count: nodes,
    make: i => ({
      metadata: {
        ...metadataOf('node', i, `node-${i}.example`),
        labels: { 'topology.kubernetes.io/zone': `zone-${i % 3}` },
      },
      spec: { podCIDRs: [`10.${i >> 8}.${i & 255}.0/24`] },
      status: { addresses: [{ type: 'InternalIP', address: ip(192, i + 1) }] },
    }),
  },
  '/apis/apps/v1/replicasets': {
    count: workloads,
    make: i => ({
      metadata: metadataOf('rs', i, `app-${i}-${hex(`rs${i}`, 9)}`, {
        uid: uid(`rs ${i}`),
        ownerReferences: [{ kind: 'Deployment', name: `app-${i}`, uid: uid(`d ${i}`), controller: true }],
      }),
    }),
  },
  '/apis/batch/v1/jobs': { count: 0, make: () => ({}) },
}

const server = createServer((request, response) => {
  const url = new URL(request.url!, 'http://h')
  const kind = kinds[url.pathname]
  if (kind === undefined) return void response.writeHead(404).end()
  if (url.searchParams.has('watch')) return void response.writeHead(200).flushHeaders()
  const limit = Number(url.searchParams.get('limit') ?? 500)
  const from = Number(url.searchParams.get('continue') ?? 0)
  const to = Math.min(kind.count, from + limit)
  const items = Array.from({ length: to - from }, (_, i) => kind.make(from + i))
  const more = to < kind.count ? { continue: String(to) } : {}
  response.end(JSON.stringify({ metadata: { resourceVersion: '900000', ...more }, items }))
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})
