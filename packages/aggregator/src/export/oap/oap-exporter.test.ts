import { loadConfig } from '@skybraid/shared'
import pino from 'pino'
import { expect, it } from 'vitest'
import type { HttpRequests } from './interval/http-requests.ts'
import { noPairs } from './interval/packed-pairs.ts'
import { noPairCounts } from './interval/pair-book.ts'
import { startOapExporter } from './oap-exporter.ts'
import { type OapConfig, oapConfigSchema } from './options.ts'

const minute = 29_500_000
const startMs = minute * 60_000

/** A dry run that is given requests by client. */
function exporterAt(now: { ms: number }, perSecond: number) {
  const args = ['--oap-dry-run', '--oap-http-logs-per-second', String(perSecond)]
  const loaded = loadConfig(oapConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const lines: string[] = []
  const exporter = startOapExporter({
    config: loaded.config as OapConfig,
    node: 'node-a',
    figures: {
      leftOut: noPairCounts,
      foldedNames: () => 0,
    },
    log: pino({ level: 'silent' }),
    nowMs: () => now.ms,
    random: () => 0,
    write: line => void lines.push(line),
  })
  const take = (counts: Readonly<Record<string, number>>) => {
    const requests = Object.entries(counts).map(([client, count]) => requestsOf(client, count))
    const unixMinute = Math.floor(now.ms / 60_000)
    exporter.accept([{ unixMinute, pairs: noPairs, requests, figures: [] }], () => undefined)
  }
  return { exporter, lines, take }
}

function requestsOf(client: string, count: number): HttpRequests {
  return {
    role: 1,
    local: { service: 'web.shop', pod: 'web-0', properties: [] },
    remote: { service: client, pod: '', properties: [] },
    method: 'GET',
    path: '/',
    status: 200,
    version: 1,
    latencies: [[100, count]],
    requestHeaderBytes: 0,
    requestBodyBytes: 0,
    responseHeaderBytes: 0,
    responseBodyBytes: 0,
  }
}

it('says by what factor requests are sampled, and 1 again once all are sent or there are none', () => {
  const now = { ms: startMs }
  const { exporter, lines, take } = exporterAt(now, 10)
  const factor = () => exporter.status().http.factor
  expect(factor()).toBe(1)
  // all of what there is at the beginning
  take({ a: 750 })
  expect(exporter.status().http).toEqual({ seen: 750, sent: 750, factor: 1 })
  now.ms += 10_000
  take({ a: 300, b: 100 })
  expect(exporter.status().http).toEqual({ seen: 1_150, sent: 850, factor: 4 })
  expect(lines.length).toBe(850)
  now.ms += 10_000
  take({ a: 50 })
  expect(exporter.status().http).toEqual({ seen: 1_200, sent: 900, factor: 1 })

  now.ms += 10_000
  take({ a: 300 })
  expect(factor()).toBe(2)
  // nothing is taken where nothing goes on
  now.ms += 60_000
  expect(factor()).toBe(2)
  now.ms += 20_000
  expect(factor()).toBe(1)
})
