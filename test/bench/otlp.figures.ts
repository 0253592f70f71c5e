import { exportConfigSchema } from '../../packages/aggregator/src/config.ts'
import { booksForExports, type ExportConfig } from '../../packages/aggregator/src/export/export-books.ts'
import { encodeSeries } from '../../packages/aggregator/src/export/otlp/otlp-requests.ts'
import { createEntityIndex } from '../../packages/aggregator/src/resolve/entity-index.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import type { Figure, Measurement } from './figure.ts'
import { minuteMs, SyntheticTraffic } from './synthetic-topology.ts'

const services = 2_000
const edges = 5_000
const minutes = 6

const cpuName =
  'OpenTelemetry: processor time of the export per 1,000 edges and minute, with requests on each'
const pointsName = 'OpenTelemetry: points of a minute of 5,000 edges, and their bytes'

function optionsOf(): ExportConfig {
  const args = ['--otlp', 'http://127.0.0.1:4318', '--otlp-series', '1000000']
  const loaded = loadConfig(exportConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  return loaded.config as ExportConfig
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** What the export adds: the same minutes closed with and without it, in turn. */
function measure(): readonly Figure[] {
  const books = booksForExports(optionsOf(), false)!
  const index = createEntityIndex()
  books.onDelta(index)
  const listeners = { onFinal: books.onFinal!, onSaid: books.onSaid }
  const plain = new SyntheticTraffic(services, edges)
  const exported = new SyntheticTraffic(services, edges, undefined, undefined, { index, ...listeners })
  const [added, told] = [[] as number[], { points: 0, bytes: 0 }]
  for (let i = 0; i < minutes; i++) {
    const close = (traffic: SyntheticTraffic, after: (nowMs: number) => void) => {
      const minute = traffic.firstMinute + i
      traffic.fill(minute)
      traffic.say(minute)
      const begun = cpuMs()
      const nowMs = (minute + 1) * minuteMs
      for (let afterMs = 31_000; afterMs < 45_000; afterMs += 200) traffic.topology.advance(nowMs + afterMs)
      after(nowMs)
      return cpuMs() - begun
    }
    const without = close(plain, () => undefined)
    const with_ = close(exported, nowMs => {
      exported.topology.takeDeltas()
      const taken = books
        .drained(0)
        .drain(nowMs)
        .flatMap(({ otlp = [] }) => otlp)
      const span = { startMs: nowMs - minuteMs, endMs: nowMs, sender: 'bench', version: '0' }
      const requests = [...encodeSeries(taken, span)]
      told.points = requests.reduce((sum, { points }) => sum + points, 0)
      told.bytes = requests.reduce((sum, { body }) => sum + body.length, 0)
    })
    added.push(((with_ - without) * 1_000) / edges)
  }
  const sorted = added.slice(1).sort((a, b) => a - b)
  return [
    {
      name: cpuName,
      value: Math.round(sorted[Math.floor(sorted.length / 2)]! * 10) / 10,
      unit: 'ms',
      reach: '',
      method: `${minutes - 1} minutes of ${edges} edges, three operations and about four connections on each, closed with the export and without in turn; median of the difference; encoded, not compressed or sent`,
    },
    {
      name: pointsName,
      value: told.points,
      unit: `points, ${(told.bytes / 1e6).toFixed(1)} MB`,
      reach: '',
      method: 'before compression',
    },
  ]
}

export const measurements: readonly Measurement[] = [{ names: [cpuName, pointsName], measure }]
