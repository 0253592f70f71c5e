import supertest from 'supertest'
import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fixtureEdge, fixtureNode } from './fixture/fixture-reader.testing.ts'
import { type FixtureServer, fixtureNowMs, fixtureServer } from './fixture/fixture-server.testing.ts'
import { problemKinds } from './problem-kinds.ts'
import { flowListSchema } from './schema/flow-schema.ts'
import { problemSchema } from './schema/problem-schema.ts'
import { healthSchema, statusSchema } from './schema/status-schema.ts'
import { edgeListSchema, topologySchema } from './schema/topology-schema.ts'

// servers and sockets: generous, because test machines are shared
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

let server: FixtureServer
beforeEach(async () => {
  server = await fixtureServer()
})
afterEach(() => server.app.close())

interface OpenApiPath {
  readonly get: { summary: string; responses: object; parameters?: { name: string }[] }
}
interface Tree {
  readonly [key: string]: Tree
}

const local = { host: 'localhost:7100' }

function get(url: string, headers: Record<string, string> = {}) {
  return server.app.inject({ method: 'GET', url, headers: { ...local, ...headers } })
}

function expectValid(schema: TSchema, value: unknown): void {
  expect(Value.Errors(schema, value)).toEqual([])
}

describe('every route', () => {
  const routes: [string, TSchema][] = [
    ['/topology', topologySchema],
    ['/topology?groupBy=unit&window=1h&protocol=tcp&minBytes=1&limit=5000', topologySchema],
    ['/topology?focus=process%3Ahost-a%2Fnginx&depth=2', topologySchema],
    ['/edges', edgeListSchema],
    ['/edges?limit=1&sort=lost', edgeListSchema],
    ['/flows', flowListSchema],
    ['/flows?limit=1', flowListSchema],
    ['/status', statusSchema],
    ['/livez', healthSchema],
    ['/readyz', healthSchema],
  ]
  it.each(routes)('%s answers what its schema says, under both paths', async (url, schema) => {
    for (const path of [url, `/api/v1${url}`]) {
      const answer = await get(path)
      expect(answer.statusCode).toBe(200)
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
      expectValid(schema, answer.json())
    }
  })

  it.each([
    '/topology',
    '/topology/stream',
    '/edges',
    '/flows',
    '/status',
    '/metrics',
    '/livez',
    '/openapi.json',
    '/problems',
  ])('%s refuses a parameter it does not know', async path => {
    const answer = await get(`${path}?nosuch=1`)
    expect(answer.statusCode).toBe(400)
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    const problem = answer.json()
    expectValid(problemSchema, problem)
    expect(problem).toMatchObject({ status: 400, instance: path, errors: [{ parameter: 'nosuch' }] })
  })

  it('carries a content security policy without inline scripts or styles', async () => {
    for (const path of ['/', '/app.js', '/topology', '/nosuch']) {
      const policy = String((await get(path)).headers['content-security-policy'])
      expect(policy).toContain("default-src 'none'")
      expect(policy).not.toContain('unsafe')
    }
  })
})

describe('parameters', () => {
  const refusals: [string, string][] = [
    ['/topology?groupby=unit', 'groupby'],
    ['/topology?groupBy=galaxy', 'groupBy'],
    ['/topology?groupBy=unit&groupBy=host', 'groupBy'],
    ['/topology?window[]=5m', 'window[]'],
    ['/topology?window=5m&window=5m', 'window'],
    ['/topology?window=10y', 'window'],
    ['/topology?from=2016-01-01T00:00:00Z', 'from'],
    ['/topology?from=not-a-date', 'from'],
    ['/topology?to=2036-01-01T00:00:00Z', 'to'],
    ['/topology?limit=1000000000', 'limit'],
    ['/topology?limit=1e3', 'limit'],
    ['/topology?limit=0x10', 'limit'],
    ['/topology?limit=%205', 'limit'],
    ['/topology?limit=-1', 'limit'],
    ['/topology?limit=', 'limit'],
    ['/topology?limit=0', 'limit'],
    ['/topology?limit=NaN', 'limit'],
    ['/topology?minBytes=99999999999999999999', 'minBytes'],
    ['/topology?depth=2', 'depth'],
    ['/topology?focus=x&depth=4', 'depth'],
    ['/topology?focus=', 'focus'],
    [`/topology?focus=${'x'.repeat(600)}`, 'focus'],
    ['/topology?protocol=sctp', 'protocol'],
    ['/topology?format=xml', 'format'],
    ['/topology?__proto__=1', '__proto__'],
    ['/topology?constructor=1', 'constructor'],
    ['/topology/stream?from=2026-11-23T07:00:00Z', 'from'],
    ['/edges?sort=beauty', 'sort'],
    ['/edges?cursor=abc', 'cursor'],
    ['/edges?port=70000', 'port'],
    ['/flows?state=asleep', 'state'],
    ['/flows?cursor=abc', 'cursor'],
    ['/flows?match=', 'match'],
  ]
  it.each(refusals)('%s is refused and the parameter named', async (url, parameter) => {
    const answer = await get(url)
    expect(answer.statusCode).toBe(400)
    const problem = answer.json()
    expectValid(problemSchema, problem)
    expect(problem.errors.map((error: { parameter: string }) => error.parameter)).toEqual([parameter])
    expect(server.reader.queries).toEqual([])
  })

  it('names the nearest known parameter and lists every mistake', async () => {
    const problem = (await get('/topology?grupBy=unit&limt=3&window=7q')).json()
    expect(problem.errors).toContainEqual(
      expect.objectContaining({ parameter: 'grupBy', nearest: 'groupBy' }),
    )
    expect(problem.errors).toContainEqual(expect.objectContaining({ parameter: 'limt', nearest: 'limit' }))
  })

  it('refuses broken percent-encoding in path and query', async () => {
    for (const url of [
      '/topology?window=%zz',
      '/topology?%zz',
      '/topology?match=%ff',
      '/%zz',
      '/api/v1/%c0%ae',
    ]) {
      const answer = await get(url)
      expect([400, 404], url).toContain(answer.statusCode)
      expectValid(problemSchema, answer.json())
    }
  })

  it('reaches the core as asked', async () => {
    await get('/topology?focus=a%2Fb&depth=3&groupBy=host&protocol=udp&minBytes=7&limit=9&window=2m')
    expect(server.reader.queries).toEqual([
      {
        fromMs: Date.parse('2026-11-23T07:29:00Z'),
        toMs: Date.parse('2026-11-23T07:31:00Z'),
        groupBy: 'host',
        focus: 'a/b',
        depth: 3,
        protocol: 'udp',
        minBytes: 7,
        limit: 9,
      },
    ])
    await get('/flows?state=open&protocol=tcp&match=cu&port=80&observed=both&limit=7')
    expect(server.reader.flowQueries).toEqual([
      { state: 'open', protocol: 'tcp', match: 'cu', port: 80, observed: 'both', limit: 7 },
    ])
  })

  it('answers paths, methods and hosts it does not serve with a problem', async () => {
    const unknown = await get('/topologie')
    expect(unknown.statusCode).toBe(404)
    expectValid(problemSchema, unknown.json())
    const written = await server.app.inject({ method: 'POST', url: '/topology', headers: local, payload: {} })
    expect(written.statusCode).toBe(405)
    expect(written.headers.allow).toBe('GET, HEAD')
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example']) {
      const rebound = await get('/topology', { host })
      expect(rebound.statusCode, host).toBe(403)
      expectValid(problemSchema, rebound.json())
    }
  })

  it('gives every problem a type that leads to what it means and what to do', async () => {
    const { type } = (await get('/topology?nosuch=1')).json()
    expect(type).toBe('/problems#invalid-parameter')
    const page = await get('/problems')
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
    for (const kind of Object.keys(problemKinds)) expect(page.body).toContain(`<section id="${kind}">`)
    expect(page.body).not.toMatch(/<script|style=/)
  })

  it('does not tell what failed inside', async () => {
    server.reader.topology = () => {
      throw new Error('secret detail')
    }
    const answer = await get('/topology')
    expect(answer.statusCode).toBe(500)
    expectValid(problemSchema, answer.json())
    expect(answer.body).not.toContain('secret')
  })
})

describe('caching', () => {
  it('answers 304 without computing until the answer could have changed', async () => {
    const first = await get('/topology')
    const etag = String(first.headers.etag)
    expect(etag).toMatch(/^"[\w-]+"$/)
    expect(first.headers['cache-control']).toBe('private, no-cache')
    expect(first.headers.vary).toContain('Accept')
    const again = await get('/topology', { 'if-none-match': `"other", W/${etag}` })
    expect(again.statusCode).toBe(304)
    expect(again.body).toBe('')
    expect(again.headers.etag).toBe(etag)
    expect(server.reader.queries).toHaveLength(1)
    server.reader.touch()
    const changed = await get('/topology', { 'if-none-match': etag })
    expect(changed.statusCode).toBe(200)
    expect(changed.headers.etag).not.toBe(etag)
  })

  it('gives different questions different tags', async () => {
    const urls = [
      '/topology',
      '/topology?groupBy=host',
      '/topology?limit=4',
      '/topology?window=6m',
      '/edges',
      '/edges?limit=1',
    ]
    urls.push('/topology?format=dot', '/topology?format=mermaid', '/edges?sort=id')
    const tags = await Promise.all(urls.map(async url => (await get(url)).headers.etag))
    expect(new Set(tags).size).toBe(urls.length)
  })

  it('lets a window that is settled be kept', async () => {
    const answer = await get('/topology?from=2026-11-23T06:00:00Z&to=2026-11-23T06:10:00Z')
    expect(answer.headers['cache-control']).toBe('private, max-age=300')
  })

  it('moves on with the clock although nothing arrived', async () => {
    const etag = String((await get('/topology')).headers.etag)
    server.clock.nowMs += 60_000
    expect((await get('/topology', { 'if-none-match': etag })).statusCode).toBe(200)
  })

  it('links to the windows before and after', async () => {
    const now = (await get('/topology?window=5m')).json()
    expect(now.links.next).toBeUndefined()
    const before = (await get(now.links.prev)).json()
    expect(before.window.to).toBe(now.window.from)
    const back = (await get(before.links.next)).json()
    expect(back.window).toEqual(now.window)
    expect((await get(back.links.self)).json().window).toEqual(now.window)
  })
})

describe('/edges', () => {
  it('walks all pages of one window in the asked order, although time goes on', async () => {
    server.reader.edges = Array.from({ length: 23 }, (_, i) => fixtureEdge('curl', `s${i}`, (i * 7) % 10))
    const bytes: number[] = []
    const ids = new Set<string>()
    let url: string | undefined = '/edges?limit=5&sort=-bytes'
    let window: unknown
    while (url !== undefined) {
      const answer = await get(url)
      const page = answer.json()
      expect(page.total).toBe(23)
      window ??= page.window
      expect(page.window).toEqual(window)
      for (const edge of page.edges) {
        ids.add(edge.id)
        bytes.push(edge.tcp.client.bytesSent)
      }
      url = /<(.+)>; rel="next"/.exec(String(answer.headers.link))?.[1]
      server.clock.nowMs += 61_000
    }
    expect(ids.size).toBe(23)
    expect(bytes).toEqual([...bytes].sort((a, b) => b - a))
  })

  it('refuses a cursor of another question', async () => {
    const { nextCursor } = (await get('/edges?limit=1')).json()
    expect((await get(`/edges?limit=9&cursor=${nextCursor}`)).statusCode).toBe(200)
    expect((await get(`/edges?limit=1&port=80&cursor=${nextCursor}`)).statusCode).toBe(400)
  })

  it('filters', async () => {
    const count = async (query: string) => (await get(`/edges?${query}`)).json().total
    expect(await count('match=REDIS')).toBe(1)
    expect(await count('match=nothing')).toBe(0)
    expect(await count('source=process:host-a/curl')).toBe(1)
    expect(await count('target=process:host-a/curl')).toBe(0)
    expect(await count('port=80&observed=both&health=ok')).toBe(2)
    expect(await count('health=failing')).toBe(0)
  })
})

describe('/flows', () => {
  it('leads to the next page', async () => {
    const first = await get('/flows?limit=2&state=closed')
    expect(first.json().flows).toHaveLength(2)
    const url = /<(.+)>; rel="next"/.exec(String(first.headers.link))?.[1] ?? ''
    const second = await get(url)
    expect(second.json().flows).toHaveLength(1)
    expect(second.headers.link).toBeUndefined()
  })
})

describe('health', () => {
  it('is not ready with a reason, and alive all the same', async () => {
    server.readiness = { ready: false, reasons: ['shutting down'] }
    const ready = await get('/readyz')
    expect(ready.statusCode).toBe(503)
    expect(ready.json()).toEqual({ status: 'not_ready', reasons: ['shutting down'] })
    expect((await get('/livez')).statusCode).toBe(200)
    expect((await get('/status')).json()).toMatchObject({ ready: false, reasons: ['shutting down'] })
  })
})

describe('rate limit', () => {
  it('holds a client back and says for how long; probes are exempt', async () => {
    await server.app.close()
    server = await fixtureServer({ requestsPerSecond: 1 })
    const answers = []
    for (let i = 0; i < 12; i++) answers.push(await get('/topology'))
    const refused = answers.filter(answer => answer.statusCode === 429)
    expect(refused.length).toBe(2)
    expect(Number(refused[0]!.headers['retry-after'])).toBeGreaterThan(0)
    expectValid(problemSchema, refused[0]!.json())
    expect((await get('/livez')).statusCode).toBe(200)
  })
})

describe('/metrics', () => {
  it('is text that Prometheus reads, with one type per metric', async () => {
    const { body, headers } = await get('/metrics')
    expect(headers['content-type']).toContain('text/plain; version=0.0.4')
    const types = new Set<string>()
    for (const line of body.trimEnd().split('\n')) {
      if (line.startsWith('# TYPE ')) {
        const name = line.split(' ')[2]!
        expect(types.has(name)).toBe(false)
        types.add(name)
      } else if (!line.startsWith('# HELP ')) {
        expect(line).toMatch(/^[a-z_][a-z0-9_]*(\{([a-z_]+="(\\.|[^"\\\n])*",?)+\})? -?[0-9.e+-]+$/)
        expect(types).toContain(line.split(/[{ ]/)[0])
      }
    }
    expect(body).toContain('skybraid_collector_lost_records_total{node="host-a",place="ring_full"} 2')
    expect(body).not.toContain('skybraid_edge_minute')
  })

  it('has series per edge only on request, escaped and bounded', async () => {
    await server.app.close()
    server = await fixtureServer({ edgeMetrics: 1 })
    server.reader.closed = Math.floor(fixtureNowMs / 60_000) - 1
    server.reader.edges = [fixtureEdge('small', 'b', 1), fixtureEdge('ev"il\n\\', 'b', 100)]
    const { body } = await get('/metrics')
    expect(body).toContain('skybraid_edges_not_shown 1')
    expect(body).toContain('source="process:host-a/ev\\"il\\n\\\\"')
    expect(body).not.toContain('process:host-a/small')
  })
})

describe('/openapi.json', () => {
  it('is an OpenAPI 3.1 document of all routes, with every reference resolved', async () => {
    const document = (await get('/openapi.json')).json()
    expect(document.openapi).toBe('3.1.0')
    const paths = [
      'topology',
      'topology/stream',
      'edges',
      'edges/{id}',
      'operations',
      'flows',
      'status',
      'metrics',
      'livez',
      'readyz',
      'openapi.json',
      'problems',
    ]
    expect(Object.keys(document.paths).sort()).toEqual(paths.map(path => `/api/v1/${path}`).sort())
    for (const [path, { get: operation }] of Object.entries<OpenApiPath>(document.paths)) {
      expect(operation.summary, path).toBeTruthy()
      expect(Object.keys(operation.responses), path).toContain('200')
      for (const parameter of operation.parameters ?? [])
        expect(parameter).toMatchObject({ in: path.endsWith(`{${parameter.name}}`) ? 'path' : 'query' })
    }
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(match => match[1]!)
    expect(references.length).toBeGreaterThan(5)
    for (const reference of references) {
      const keys = reference.replace(/^#\//, '').split('/')
      const found = keys.reduce<Tree | undefined>((at, key) => at?.[key], document)
      expect(found, reference).toBeDefined()
    }
  })
})

describe('other formats', () => {
  it('escape hostile names', async () => {
    const evil = '"]; a -> b [label="<script>\n\u202e--> |x'
    server.reader.nodes = [fixtureNode(evil), fixtureNode('b')]
    server.reader.edges = [fixtureEdge(evil, 'b', 5)]
    const dot = await get('/topology?format=dot')
    expect(dot.headers['content-type']).toBe('text/vnd.graphviz; charset=utf-8')
    const quoted = dot.body.replaceAll(/"(\\.|[^"\\])*"/g, 'Q')
    expect(quoted.match(/->/g)).toHaveLength(1)
    expect(quoted).not.toContain('script')
    const mermaid = (await get('/topology?format=mermaid')).body
    expect(mermaid.trimEnd().split('\n')).toHaveLength(4)
    expect(mermaid).not.toMatch(/<|\u202e|"\]; a/)
    const cytoscape = (await get('/topology?format=cytoscape')).json()
    expect(cytoscape.elements.nodes[0].data.name).toBe(evil)
    const grafana = (await get('/topology?format=grafana')).json()
    expect(grafana.edges[0]).toMatchObject({ mainStat: 'tcp/80 15 B' })
  })
})

describe('over a socket', () => {
  it('serves the page and its modules as what they are', async () => {
    await server.app.ready()
    const agent = supertest(server.app.server)
    const page = await agent.get('/').expect(200)
    expect(page.headers['content-type']).toContain('text/html')
    expect(page.text).not.toMatch(/<script>|style="|\son\w+="|https?:\/\//)
    await agent
      .get('/app.js')
      .expect(200)
      .expect('content-type', /javascript/)
    await agent.get('/app.css').expect(200).expect('content-type', /css/)
    await agent.get('/../package.json').expect(404)
    await agent.get('/%2e%2e/server.ts').expect(404)
  })

  it('refuses a request line that is too long', async () => {
    await server.app.ready()
    await supertest(server.app.server)
      .get(`/topology?window=${'5'.repeat(20_000)}m`)
      .expect(431)
  })
})
