import pino from 'pino'
import supertest from 'supertest'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKubeWorld, minuteMs, type WorldPod, worldMs } from '../topology/kube-world.testing.ts'
import { type ApiOptions, defaultApiOptions } from './api-deps.ts'
import type { Viewer } from './auth/viewer.ts'
import { createFixtureReader } from './fixture/fixture-reader.testing.ts'
import { RequestProblem } from './problem.ts'
import { buildServer } from './server.ts'

// servers and sockets: generous, because test machines are shared
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const pods = {
  front: pod('shop', 'front', 'n1', '10.1.0.1', { app: 'front', tier: 'web' }),
  cart: pod('shop', 'cart', 'n2', '10.1.0.2', { app: 'cart', tier: 'back' }),
  pay: pod('pay', 'pay', 'n2', '10.1.1.1', { app: 'pay', tier: 'back' }),
  spy: pod('ops', 'spy', 'n1', '10.1.2.1', { app: 'spy' }),
}

function pod(
  namespace: string,
  workload: string,
  node: string,
  address: string,
  labels: WorldPod['labels'],
): WorldPod {
  return { namespace, name: `${workload}-1`, workload, node, address, labels: labels! }
}

/** front -> cart (through its service) -> pay (through its service) -> outside; spy -> pay; kubelet -> front. */
function shop() {
  const world = createKubeWorld()
  world.node('n1', 'east', '10.0.0.1')
  world.node('n2', 'west', '10.0.0.2')
  const [front, cart, pay, spy] = [pods.front, pods.cart, pods.pay, pods.spy].map(p => world.pod(p))
  world.service({ namespace: 'shop', name: 'cart-svc', address: '10.96.0.1', backends: ['cart-1'] })
  world.service({ namespace: 'pay', name: 'pay-svc', address: '10.96.0.2', backends: ['pay-1'] })
  const outside = world.address('n2', '198.51.100.9')
  const kubelet = world.process('n1', 'kubelet')
  const at = { viaPort: 80, port: 8080 }
  const cartService = world.address('n1', '10.96.0.1')
  const payService = world.address('n2', '10.96.0.2')
  world.call({ ...at, from: front!, to: cart!, via: cartService, bytes: 1000, asks: 'GET /cart' })
  world.call({ ...at, from: cart!, to: pay!, via: payService, bytes: 2000, asks: 'POST /charge' })
  world.call({ from: pay!, to: outside, port: 443, bytes: 400, asks: 'POST /bank' })
  world.call({ from: spy!, to: pay!, port: 8080, bytes: 80, asks: 'GET /pay-secrets' })
  world.call({ from: kubelet, to: front!, port: 8080, bytes: 16 })
  return world
}

/** Tokens are lists of namespaces, or `all`. */
function viewerOf(token: string): Viewer {
  if (token === 'none') throw new RequestProblem(401, 'unauthorized', 'Nobody.')
  const scope = token === 'all' ? undefined : { namespaces: token.split('.').filter(Boolean).sort() }
  return { scope, mayRead: async () => token === 'all', again: async () => viewerOf(token) }
}

async function serve(
  world = shop(),
  options: Partial<ApiOptions> = {},
  kubeAccess = async (token: string) => viewerOf(token),
) {
  const app = await buildServer({
    reader: {
      ...world.topology,
      flows: createFixtureReader().flows,
      ingestStatus: createFixtureReader().ingestStatus,
    },
    now: () => worldMs + minuteMs,
    log: pino({ level: 'silent' }),
    version: '0',
    readiness: () => ({ ready: true, reasons: [] }),
    collectors: () => [],
    kubeAccess,
    options: {
      ...defaultApiOptions,
      requestsPerSecond: 0,
      defaultGroupBy: 'workload',
      loopbackOnly: false,
      ...options,
    },
  })
  closers.push(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app
}

async function edgesOf(question: string, token = 'all') {
  const api = supertest((await serve()).server)
  const answer = await api.get(`/topology?${question}`).set('authorization', `Bearer ${token}`)
  expect(answer.status).toBe(200)
  return answer.body.edges.map((edge: { id: string }) => edge.id).sort()
}

describe('the topology of a cluster over the API', () => {
  it.each([
    [
      'workload',
      [
        'node/n1->workload/shop/Deployment/front#tcp/8080',
        'workload/ops/Deployment/spy->workload/pay/Deployment/pay#tcp/8080',
        'workload/pay/Deployment/pay->outside/198.51.100.9#tcp/443',
        'workload/shop/Deployment/cart->workload/pay/Deployment/pay#tcp/8080@service/pay/pay-svc:80',
        'workload/shop/Deployment/front->workload/shop/Deployment/cart#tcp/8080@service/shop/cart-svc:80',
      ],
    ],
    [
      'service',
      [
        'node/n1->workload/shop/Deployment/front#tcp/8080',
        'service/pay/pay-svc->outside/198.51.100.9#tcp/443',
        'service/shop/cart-svc->service/pay/pay-svc#tcp/8080@service/pay/pay-svc:80',
        'workload/ops/Deployment/spy->service/pay/pay-svc#tcp/8080',
        'workload/shop/Deployment/front->service/shop/cart-svc#tcp/8080@service/shop/cart-svc:80',
      ],
    ],
    [
      'pod',
      [
        'node/n1->pod/shop/front-1#tcp/8080',
        'pod/ops/spy-1->pod/pay/pay-1#tcp/8080',
        'pod/pay/pay-1->outside/198.51.100.9#tcp/443',
        'pod/shop/cart-1->pod/pay/pay-1#tcp/8080@service/pay/pay-svc:80',
        'pod/shop/front-1->pod/shop/cart-1#tcp/8080@service/shop/cart-svc:80',
      ],
    ],
    [
      'node',
      [
        'node/n1->node/n1#tcp/8080',
        'node/n1->node/n2#tcp/8080',
        'node/n1->node/n2#tcp/8080@service/shop/cart-svc:80',
        'node/n2->node/n2#tcp/8080@service/pay/pay-svc:80',
        'node/n2->outside/198.51.100.9#tcp/443',
      ],
    ],
    [
      'zone',
      [
        'zone/east->zone/east#tcp/8080',
        'zone/east->zone/west#tcp/8080',
        'zone/east->zone/west#tcp/8080@service/shop/cart-svc:80',
        'zone/west->outside/198.51.100.9#tcp/443',
        'zone/west->zone/west#tcp/8080@service/pay/pay-svc:80',
      ],
    ],
    [
      'namespace',
      [
        'namespace/ops->namespace/pay#tcp/8080',
        'namespace/pay->outside/198.51.100.9#tcp/443',
        'namespace/shop->namespace/pay#tcp/8080@service/pay/pay-svc:80',
        'namespace/shop->namespace/shop#tcp/8080@service/shop/cart-svc:80',
        'node->namespace/shop#tcp/8080',
      ],
    ],
  ])('is grouped by %s', async (groupBy, wanted) => {
    // a process of a node that is in no pod has its unit to go by
    const unit = (id: string) => id.replace('host/n1/kubelet.service', 'node/n1')
    expect((await edgesOf(`groupBy=${groupBy}`)).map(unit).sort()).toEqual(wanted)
  })

  it.each([
    ['namespace=ops', ['spy->pay']],
    ['namespace=ops&namespace=shop', ['cart->pay', 'front->cart', 'kubelet->front', 'spy->pay']],
    ['labels=tier=web', ['front->cart', 'kubelet->front']],
    ['labels=app in (spy,front),tier', ['front->cart', 'kubelet->front']],
    ['namespace=pay&labels=tier=back', ['cart->pay', 'pay->outside', 'spy->pay']],
    ['namespace=nothing', []],
    ['focus=workload/shop/Deployment/front', ['front->cart', 'kubelet->front']],
    ['focus=workload/shop/Deployment/front&depth=2', ['cart->pay', 'front->cart', 'kubelet->front']],
    [
      'focus=workload/shop/Deployment/front&depth=3',
      ['cart->pay', 'front->cart', 'kubelet->front', 'pay->outside', 'spy->pay'],
    ],
    ['focus=workload/ops/Deployment/spy&depth=2&namespace=pay', ['cart->pay', 'pay->outside', 'spy->pay']],
    ['minBytes=500', ['cart->pay', 'front->cart']],
  ])('has with %s those edges', async (question, wanted) => {
    const short = (id: string) =>
      id
        .replace(/#.*/, '')
        .split('->')
        .map(end => (end.startsWith('outside') ? 'outside' : end.replace('.service', '').split('/').at(-1)))
        .join('->')
    expect((await edgesOf(question)).map(short).sort()).toEqual(wanted)
  })

  it('keeps the service that was dialled and the workload that answered', async () => {
    const api = supertest((await serve()).server)
    const edges = await api.get('/edges?match=pay-svc').set('authorization', 'Bearer all')
    expect(edges.body.edges).toMatchObject([
      { target: 'workload/pay/Deployment/pay', via: 'service/pay/pay-svc:80', port: 8080 },
    ])
  })
})

describe('the API for somebody who may see one namespace', () => {
  it('folds the rest into one node, on every path and in every format', async () => {
    expect(await edgesOf('groupBy=workload', 'shop')).toEqual([
      'hidden->hidden#tcp/0',
      'hidden->workload/shop/Deployment/front#tcp/8080',
      'workload/shop/Deployment/cart->hidden#tcp/8080',
      'workload/shop/Deployment/front->workload/shop/Deployment/cart#tcp/8080@service/shop/cart-svc:80',
    ])
    const api = supertest((await serve()).server)
    for (const path of [
      '/topology?include=detail',
      '/topology?groupBy=process',
      '/topology?groupBy=service&namespace=pay',
      ...['dot', 'mermaid', 'grafana', 'cytoscape'].map(format => `/topology?format=${format}`),
      '/edges',
      '/edges?sort=id&limit=1',
      '/edges?match=pay',
      '/edges?source=workload/ops/Deployment/spy',
    ]) {
      const answer = await api.get(path).set('authorization', 'Bearer shop')
      expect(answer.status, path).toBe(200)
      const { links: _own, ...rest } = answer.body
      const text = JSON.stringify(rest) + (answer.text ?? '').replace(/"links":\{.*\}/, '')
      for (const name of ['pay-svc', 'workload/pay', 'pay-1', 'ops', 'spy', '198.51', 'kubelet', '10.96.0.2'])
        expect(text, `${path} has ${name}`).not.toContain(name)
    }
  })

  it('tells what is asked of and by what it shows, and nothing that is asked among the hidden', async () => {
    const api = supertest((await serve()).server)
    const asked = async (path: string, token = 'shop') => {
      const answer = await api.get(path).set('authorization', `Bearer ${token}`)
      expect(answer.status, path).toBe(200)
      return answer.body.operations.map((each: { operation: string }) => each.operation).sort()
    }
    const own = ['GET /cart', 'POST /charge']
    expect(await asked('/operations', 'all')).toEqual([
      'GET /cart',
      'GET /pay-secrets',
      'POST /bank',
      'POST /charge',
    ])
    for (const groupBy of ['process', 'pod', 'workload', 'service', 'namespace', 'node', 'zone'])
      expect(await asked(`/operations?groupBy=${groupBy}`)).toEqual(own)
    for (const hidden of [
      'service=hidden&source=hidden',
      'match=secret',
      'match=bank',
      'namespace=pay&source=hidden',
      'service=pay',
      'service=workload/pay/Deployment/pay',
    ])
      expect(await asked(`/operations?${hidden}`), hidden).toEqual([])
    const id = encodeURIComponent('hidden->hidden#tcp/0')
    const among = await api.get(`/edges/${id}`).set('authorization', 'Bearer shop')
    expect(among.body).toMatchObject({ operations: [], edge: { http: { client: { requests: 2 } } } })
    expect(among.text).not.toMatch(/secret|bank/)
  })

  it('has other validators than for somebody else, and tells caches that they differ', async () => {
    const api = supertest((await serve()).server)
    const [all, some] = await Promise.all(
      ['all', 'shop'].map(token => api.get('/topology').set('authorization', `Bearer ${token}`)),
    )
    expect(all!.headers.etag).not.toBe(some!.headers.etag)
    expect(some!.headers.vary).toContain('Authorization')
    const again = await api
      .get('/topology')
      .set('authorization', 'Bearer shop')
      .set('if-none-match', all!.headers.etag!)
    expect(again.status).toBe(200)
  })

  it('keeps what tells of all nodes from those who may see some', async () => {
    const api = supertest((await serve()).server)
    for (const path of ['/status', '/metrics', '/api/v1/status', '/api/v1/metrics']) {
      const some = await api.get(path).set('authorization', 'Bearer shop')
      expect(some.status, path).toBe(403)
      expect(some.body.type).toBe('/problems#forbidden')
      expect((await api.get(path).set('authorization', 'Bearer all')).status, path).toBe(200)
      expect((await api.get(path).set('authorization', 'Bearer none')).status, path).toBe(401)
    }
  })

  it('answers nothing to those who may see nothing', async () => {
    const api = supertest((await serve()).server)
    for (const path of ['/topology', '/topology/stream', '/edges', '/flows', '/openapi.json', '/nothing'])
      expect((await api.get(path).set('authorization', 'Bearer .')).status, path).toBe(403)
    for (const path of ['/livez', '/readyz', '/app.js']) expect((await api.get(path)).status, path).toBe(200)
  })

  it('streams what may be seen, and ends when that has changed', async () => {
    const world = shop()
    const rights = { now: 'shop' }
    const changing = async (): Promise<Viewer> => ({ ...viewerOf(rights.now), again: changing })
    const app = await serve(world, { streamTickMs: 20, streamAccessMs: 50 }, changing)
    const { port } = app.server.address() as { port: number }
    const headers = { authorization: 'Bearer changing' }
    const answer = await fetch(`http://127.0.0.1:${port}/topology/stream`, { headers })
    expect(answer.status).toBe(200)
    const seen = { text: '' }
    const ended = (async () => {
      for await (const chunk of answer.body!) seen.text += Buffer.from(chunk).toString()
      return 'ended'
    })()
    await vi.waitFor(() => expect(seen.text).toContain('event: snapshot'), 5000)
    const pay = world.index.ofOwner(world.index.node('n2'), payProcess)
    const spy = world.index.ofOwner(world.index.node('n1'), { ...payProcess, podUid: 'pod-ops-spy-1' })
    world.call({ from: spy, to: pay, port: 9999, bytes: 1 })
    await vi.waitFor(() => expect(seen.text).toContain('event: patch'), 5000)
    expect(seen.text).toContain('hidden->hidden#tcp/0')
    for (const name of ['pay', 'ops', 'spy', '9999', '198.51', 'kubelet'])
      expect(seen.text).not.toContain(name)
    rights.now = 'pay'
    expect(await ended).toBe('ended')
  })
})

const payProcess = {
  cgroup: '',
  podUid: 'pod-pay-pay-1',
  containerId: 'pay-1-c',
  unit: '',
  process: 'late',
  pid: 1,
}
