import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KubeTransport } from '../../packages/aggregator/src/kube/kube-transport.ts'
import { type Kubernetes, watchKubernetes } from '../../packages/aggregator/src/kube/kubernetes.ts'
import { wordsOfText } from '../../packages/aggregator/src/resolve/address-text.ts'
import { createEntityIndex } from '../../packages/aggregator/src/resolve/entity-index.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import { until } from '../lab/until.ts'
import { ApiServer } from './api-server.ts'
import { makeNamespace, makePod } from './cluster-objects.ts'

const { log } = createConsole({ write: () => true }, 'error')
const merge = 'application/merge-patch+json'

/** What a kubelet says of a pod once it runs. */
async function run(api: ApiServer, namespace: string, name: string, address: string): Promise<void> {
  const startedAt = new Date(Math.floor(Date.now() / 1000) * 1000).toISOString()
  const container = { name: 'main', image: 'i', imageID: 'i', ready: true, restartCount: 0 }
  const status = {
    phase: 'Running',
    startTime: startedAt,
    podIP: address,
    podIPs: [{ ip: address }],
    containerStatuses: [
      { ...container, containerID: `containerd://${name}`, state: { running: { startedAt } } },
    ],
  }
  await api.must('PATCH', `/api/v1/namespaces/${namespace}/pods/${name}/status`, { status }, merge)
}

const remove = (api: ApiServer, namespace: string, name: string) =>
  api.must('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`)

describe('names by a real API server', () => {
  let api: ApiServer
  let kubernetes: Kubernetes
  /** Closed, nobody reaches the server. */
  const gate = { open: true }

  const gated = (transport: KubeTransport): KubeTransport => ({
    ...transport,
    get: (path, signal, accept) =>
      gate.open ? transport.get(path, signal, accept) : Promise.reject(new Error('the way is closed')),
  })
  const watchOf = (name: string) => kubernetes.status().resources.find(r => r.resource === name)!
  const all = () => kubernetes.status().resources
  const nameOf = (address: string, atMs = Date.now()) => {
    const { w0, w1, w2, w3 } = wordsOfText(address)!
    const claim = kubernetes.names.claimAt(w0, w1, w2, w3, atMs)
    return claim && kubernetes.names.identityOfClaim(claim).name
  }

  beforeAll(async () => {
    api = await ApiServer.start()
    await makeNamespace(api, 'shop')
    for (const name of ['n1', 'n2']) await api.must('POST', '/api/v1/nodes', { metadata: { name } })
    await Promise.all(
      Array.from({ length: 230 }, async (_, i) => {
        await makePod(api, { namespace: 'shop', name: `old-${i}`, node: 'n1' })
        await run(api, 'shop', `old-${i}`, `10.1.${i >> 7}.${(i & 127) + 1}`)
      }),
    )
    kubernetes = watchKubernetes({ transport: gated(api.transport()), log, retentionMs: 3_600_000 })
  })
  afterAll(async () => {
    await kubernetes?.close()
    await api?.close()
  })

  it('are there after paged lists, and soon after a pod’s start', async () => {
    const ready = () => kubernetes.status().synced && all().every(r => r.watching)
    await until('everything is watched', ready, { timeoutMs: 30_000 })
    expect(kubernetes.status()).toMatchObject({ pods: 230, nodes: 2 })
    expect(nameOf('10.1.1.102')).toBe('old-229')
    await makePod(api, { namespace: 'shop', name: 'late', node: 'n2' })
    await run(api, 'shop', 'late', '10.2.0.1')
    await until('it is named', () => nameOf('10.2.0.1', Date.now() + 3000) === 'late', { timeoutMs: 10_000 })
  })

  it('cost watches only while nothing happens', async () => {
    const asked = () => all().map(({ resource, lists, watches }) => [resource, lists, watches])
    const before = asked()
    expect(before.map(([, lists]) => lists)).toEqual([1, 1, 1, 1, 1, 1])
    await new Promise(resolve => setTimeout(resolve, 3000))
    expect(asked()).toEqual(before)
  })

  it('stay while the API server is away, and are right when it is back', async () => {
    await api.stopApi()
    await until('nothing is watched', () => all().every(r => !r.watching), { timeoutMs: 30_000 })
    expect(nameOf('10.1.0.1')).toBe('old-0')
    await api.restart()
    await makePod(api, { namespace: 'shop', name: 'after', node: 'n2' })
    await run(api, 'shop', 'after', '10.2.0.2')
    await until('it is named', () => nameOf('10.2.0.2', Date.now() + 3000) === 'after', { timeoutMs: 60_000 })
    await until('all are watched', () => all().every(r => r.watching), { timeoutMs: 60_000 })
  })

  it('are listed again where the server forgot what came after the last event, and what went meanwhile is gone', async () => {
    gate.open = false
    await api.stopApi()
    await api.restart()
    const { lists } = watchOf('pods')
    await remove(api, 'shop', 'old-1')
    await makePod(api, { namespace: 'shop', name: 'meanwhile', node: 'n2' })
    await run(api, 'shop', 'meanwhile', '10.2.0.3')
    // its cache begins after what happened
    await api.stopApi()
    await api.restart()
    gate.open = true
    await until(
      'the pods are listed again',
      () => watchOf('pods').lists > lists && watchOf('pods').watching,
      {
        timeoutMs: 60_000,
        describe: () => JSON.stringify(watchOf('pods')),
      },
    )
    expect(nameOf('10.2.0.3', Date.now() + 3000)).toBe('meanwhile')
    expect(nameOf('10.1.0.2', Date.now() + 3000)).toBeUndefined()
    expect(kubernetes.status().gone).toBe(1)
  })

  it('are never those of another pod while 1,000 addresses pass on', async () => {
    const addresses = 125
    const rounds = 8
    const index = createEntityIndex({ source: kubernetes.names })
    const node = index.node('n2')
    const used: { readonly id: number; readonly pod: string }[] = []
    const use = (address: string, pod: string, atMs: number) => {
      const { w0, w1, w2, w3 } = wordsOfText(address)!
      used.push({ id: index.ofAddress(node, w0, w1, w2, w3, atMs), pod })
    }
    const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
    async function passOn(a: number): Promise<void> {
      const address = `10.3.0.${a + 1}`
      await pause(a * 20)
      for (let round = 0; round < rounds; round++) {
        const name = `churn-${a}-${round}`
        await makePod(api, { namespace: 'shop', name, node: 'n2' })
        await run(api, 'shop', name, address)
        const lifeMs = 800 + ((a * 131 + round * 977) % 3600)
        for (const part of [0.1, 0.5, 0.95]) {
          const atMs = Date.now()
          await pause(lifeMs * 0.32)
          // a record of what happened comes a while after it
          use(address, name, atMs + lifeMs * 0.3 * part)
        }
        await remove(api, 'shop', name)
      }
    }
    await Promise.all(Array.from({ length: addresses }, (_, a) => passOn(a)))
    await pause(2000)
    const found = used.map(({ id, pod }) => ({ group: index.group(id, 'pod', Date.now()), pod }))
    const wrong = found.filter(({ group, pod }) => group.kind === 'pod' && group.name !== pod)
    const named = found.filter(({ group }) => group.kind === 'pod')
    expect(wrong.map(({ group, pod }) => `${group.name} for ${pod}`)).toEqual([])
    expect(used).toHaveLength(addresses * rounds * 3)
    expect(named.length).toBeGreaterThan(used.length / 10)
    console.log(
      `${addresses * rounds} addresses passed on: ${named.length} of ${used.length} uses named, none wrong`,
    )
  })
})
