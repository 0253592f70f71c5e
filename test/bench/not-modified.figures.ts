import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { defaultApiOptions } from '../../packages/aggregator/src/api/api-deps.ts'
import { buildServer } from '../../packages/aggregator/src/api/server.ts'
import { ingestStatus } from '../../packages/aggregator/src/ingest/ingest-status.ts'
import { createJoin } from '../../packages/aggregator/src/join/join.ts'
import { createEntityIndex } from '../../packages/aggregator/src/resolve/entity-index.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import type { Figure, Measurement } from './figure.ts'
import { percentile, spread } from './statistics.ts'
import { minuteMs, SyntheticTraffic } from './synthetic-topology.ts'

const services = 5_000
const edges = 20_000
const warmUps = 200
const requests = 1_000
const name = 'GET /topology, 5,000 services, 20,000 edges, unchanged since: 304 over HTTP, p99'

async function measure(): Promise<readonly Figure[]> {
  const traffic = new SyntheticTraffic(services, edges)
  const { topology, firstMinute } = traffic
  for (let minute = firstMinute; minute < firstMinute + 2; minute++) traffic.fill(minute)
  const nowMs = (firstMinute + 1) * minuteMs + 30_000
  topology.advance(nowMs)
  // no collector reports: what is asked about was booked directly
  const index = createEntityIndex()
  const join = createJoin({ book: topology.book, entities: index, names: index, hashSeed: 1, capacity: 1024 })
  const app = await buildServer({
    reader: {
      ...topology,
      ingestStatus: () => ({ ...ingestStatus([], nowMs), join: join.counts(), ...topology.stats() }),
    },
    now: () => nowMs,
    log: createConsole(process.stderr, 'silent').log,
    version: 'bench',
    readiness: () => ({ ready: true, reasons: [] }),
    collectors: () => [],
    options: { ...defaultApiOptions, requestsPerSecond: 0 },
  })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  try {
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}/topology?groupBy=process&limit=${services}`
    const first = await ask(url, agent)
    if (first.status !== 200 || first.etag === undefined) throw new Error(`answered ${first.status}`)
    const times: number[] = []
    for (let i = 0; i < warmUps + requests; i++) {
      const begun = performance.now()
      const { status } = await ask(url, agent, first.etag)
      if (status !== 304) throw new Error(`answered ${status} where nothing changed`)
      if (i >= warmUps) times.push(performance.now() - begun)
    }
    const method = `${requests} requests one after the other on one connection, client in the same process; median ${percentile(times, 50).toFixed(2)} ms`
    const value = Math.round(percentile(times, 99) * 100) / 100
    return [{ name, value, unit: 'ms', reach: '<= 2', spread: spread(times), method }]
  } finally {
    agent.destroy()
    await app.close()
  }
}

/** Reads the whole answer, as a client would. */
function ask(
  url: string,
  agent: http.Agent,
  etag?: string,
): Promise<{ readonly status: number | undefined; readonly etag: string | undefined }> {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number | undefined
    etag: string | undefined
  }>()
  const headers = etag === undefined ? {} : { 'if-none-match': etag }
  const request = http.get(url, { agent, headers }, response => {
    response.on('end', () => resolve({ status: response.statusCode, etag: response.headers.etag })).resume()
  })
  request.on('error', reject)
  return promise
}

export const measurements: readonly Measurement[] = [{ names: [name], measure }]
