import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKubeNames } from '../resolve/kube-names.ts'
import { createKubeTrimmer } from '../resolve/kube-trim.ts'
import { kubeResources } from './kube-resource.ts'
import { KubeHttpError, type KubeTransport } from './kube-transport.ts'
import { type KubeWatch, startKubeWatch } from './kube-watch.ts'

vi.setConfig({ testTimeout: 20_000 })

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A server that answers as a test says, over real connections. */
async function serve(answer: (url: URL, response: ServerResponse) => void): Promise<KubeTransport> {
  const server = createServer((request, response) => answer(new URL(request.url!, 'http://h'), response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    server: base,
    async get(path, signal) {
      const [response] = (await once(get(base + path, { signal }), 'response')) as [IncomingMessage]
      if (response.statusCode !== 200) throw new KubeHttpError(response.statusCode!, 'refused')
      return response
    },
    create: () => Promise.reject(new Error('nothing is made here')),
  }
}

const pod = (n: number, version: number) => ({
  metadata: { uid: `u${n}`, name: `p${n}`, namespace: 'a', resourceVersion: String(version) },
  spec: { nodeName: 'n1' },
  status: { podIPs: [{ ip: `10.0.0.${n}` }], startTime: '2026-01-01T00:00:00Z' },
})
const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`
const bookmark = (version: number) => line('BOOKMARK', { metadata: { resourceVersion: String(version) } })

function watchPods(transport: KubeTransport, silentMs = 60_000) {
  const names = createKubeNames()
  const watch: KubeWatch = startKubeWatch({
    transport,
    resource: kubeResources.find(r => r.name === 'pods')!,
    trimmer: createKubeTrimmer(),
    nowMs: Date.now,
    random: () => 0,
    pageSize: 2,
    silentMs,
    handlers: {
      put: object => names.index.put(object, Date.now()),
      gone: uid => names.index.gone('pod', uid, Date.now()),
      listed: (uids, sinceMs) => names.index.keepOnly('pod', uids, sinceMs || Date.now()),
    },
  })
  closers.push(() => watch.close())
  return { names, watch }
}

describe('startKubeWatch', () => {
  it('lists page by page, watches from there, and resumes from the last bookmark', async () => {
    const asked: URL[] = []
    const transport = await serve((url, response) => {
      asked.push(url)
      if (url.searchParams.get('watch') === null) {
        const isSecond = url.searchParams.get('continue') === 'more'
        const items = isSecond ? [pod(3, 9)] : [pod(1, 7), pod(2, 8)]
        const metadata = { resourceVersion: '10', ...(!isSecond && { continue: 'more' }) }
        response.end(JSON.stringify({ metadata, items }))
        return
      }
      response.write(line('ADDED', pod(4, 11)) + line('DELETED', pod(1, 12)) + bookmark(20))
      if (url.searchParams.get('resourceVersion') === '10') response.end()
    })
    const { names, watch } = watchPods(transport)
    await vi.waitFor(
      () => expect(watch.status()).toMatchObject({ watches: 2, watching: true, events: 4 }),
      10_000,
    )
    const watches = asked.filter(url => url.searchParams.has('watch'))
    expect(watches.map(url => url.searchParams.get('resourceVersion'))).toEqual(['10', '20'])
    expect(watches[0].searchParams.get('allowWatchBookmarks')).toBe('true')
    expect(watch.status()).toMatchObject({ lists: 1, failures: 0 })
    expect(names.index.stats()).toMatchObject({ pods: 4, gone: 1 })
  })

  it('lists again when the server no longer keeps where it was, and notes what went meanwhile', async () => {
    let lists = 0
    const transport = await serve((url, response) => {
      if (url.searchParams.get('watch') === null) {
        lists++
        const items = lists === 1 ? [pod(1, 1), pod(2, 2)] : [pod(2, 2)]
        response.end(JSON.stringify({ metadata: { resourceVersion: String(lists * 10) }, items }))
      } else if (url.searchParams.get('resourceVersion') === '10')
        response.end(line('ERROR', { kind: 'Status', code: 410, message: 'too old resource version' }))
      else response.write(bookmark(21))
    })
    const { names, watch } = watchPods(transport)
    await vi.waitFor(
      () => expect(watch.status()).toMatchObject({ lists: 2, watching: true, failures: 1 }),
      5000,
    )
    expect(names.index.stats()).toMatchObject({ pods: 2, gone: 1 })
    expect(watch.status().lastError).toMatch(/too old/)
  })

  it('gives a silent watch up and goes on from where it was, with what it knew', async () => {
    const asked: (string | null)[] = []
    const transport = await serve((url, response) => {
      if (url.searchParams.get('watch') === null)
        response.end(JSON.stringify({ metadata: { resourceVersion: '5' }, items: [pod(1, 1)] }))
      else {
        asked.push(url.searchParams.get('resourceVersion'))
        response.write(asked.length === 1 ? bookmark(6) : bookmark(7))
      }
    })
    const { names, watch } = watchPods(transport, 300)
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(1), 10_000)
    expect(asked.slice(0, 2)).toEqual(['5', '6'])
    expect(watch.status()).toMatchObject({ lists: 1 })
    expect(names.index.stats()).toMatchObject({ pods: 1, gone: 0 })
  })

  it('waits longer each time that a watch ends as soon as it begins', async () => {
    const askedMs: number[] = []
    const transport = await serve((url, response) => {
      if (url.searchParams.get('watch') !== null) askedMs.push(performance.now())
      response.end(
        url.searchParams.get('watch') === null ? '{"metadata":{"resourceVersion":"5"},"items":[]}' : '',
      )
    })
    watchPods(transport)
    await vi.waitFor(() => expect(askedMs.length).toBeGreaterThanOrEqual(4), { timeout: 10_000 })
    const waits = askedMs.slice(1, 4).map((ms, i) => ms - askedMs[i]!)
    // with the least jitter: 250, 500, 1000
    expect(waits.map(ms => Math.floor(ms / 240) >= 1)).toEqual([true, true, true])
    expect(waits[1]!).toBeGreaterThan(480)
    expect(waits[2]!).toBeGreaterThan(960)
  })

  it('waits longer after each failure, and answers no more once closed', async () => {
    const transport = await serve((_url, response) => response.writeHead(503).end())
    const { watch } = watchPods(transport)
    await vi.waitFor(() => expect(watch.status().failures).toBeGreaterThan(1), 10_000)
    const { failures } = watch.status()
    await watch.close()
    expect(watch.status().failures).toBe(failures)
    expect(watch.status()).toMatchObject({ heardMs: 0, watching: false })
  })
})
