import { createEntityIndex } from '../../packages/aggregator/src/resolve/entity-index.ts'
import { createTopology } from '../../packages/aggregator/src/topology/topology.ts'
import type { Figure, Measurement } from './figure.ts'
import { segmentAtMinute } from './segment-at-minute.ts'
import { percentile, spread } from './statistics.ts'
import { minuteMs, SyntheticTraffic } from './synthetic-topology.ts'

const services = 5_000
const edges = 20_000
const minutes = 5
const queries = 200
/** These take long. */
const saidQueries = 30
const warmUps = 10
const restartMinutes = 25

const bytesName = 'memory per edge-minute'
const answerName =
  'GET /topology, 5,000 services, 20,000 edges, last 5 min, no copy held: the answer as JSON, p99'
const medianName =
  'GET /topology, 5,000 services, 20,000 edges, last 5 min, no copy held: the answer as JSON, median'
const cpuName =
  'GET /topology, 5,000 services, 20,000 edges, last 5 min, no copy held: processor time of the same answers, p99'
const saidName =
  'GET /topology, 5,000 services, 20,000 edges with HTTP on each, last 5 min, no copy held: the answer as JSON, slowest of 30'
const saidMedianName =
  'GET /topology, 5,000 services, 20,000 edges with HTTP on each, last 5 min, no copy held: the answer as JSON, median'
const closingName = 'closing a minute of 20,000 edges: processor time of the longest step'
const restartName = 'restart: segments of 20,000 edges back in memory, per million edge-minutes'

function measure(): readonly Figure[] {
  const segments: Uint8Array[] = []
  const traffic = new SyntheticTraffic(services, edges, bytes => segments.push(bytes))
  const { topology, firstMinute } = traffic
  let longestStepMs = 0
  for (let i = 0; i < minutes; i++) {
    longestStepMs = Math.max(longestStepMs, longestStep(traffic, (firstMinute + i) * minuteMs + 31_000))
    traffic.fill(firstMinute + i)
  }
  const nowMs = (firstMinute + minutes - 1) * minuteMs + 31_000
  const { segmentBytes } = topology.stats()
  const perEdgeMinute = segmentBytes / ((minutes - 1) * edges)
  return [
    {
      name: bytesName,
      value: Math.round(perEdgeMinute * 10) / 10,
      unit: 'B',
      reach: '<= 200',
      method:
        'closed one-minute segments of 20,000 joined edges, 4 connections each, all 8 histograms filled',
    },
    ...measureAnswers(traffic, nowMs),
    {
      name: closingName,
      value: Math.round(longestStepMs * 10) / 10,
      unit: 'ms',
      reach: '<= 20',
      method: `${minutes - 1} minutes closed, packed and encoded by calls of advance 200 ms apart`,
    },
    measureRestart(segments, nowMs),
  ]
}

/** Lets the ten seconds after `fromMs` pass as a running aggregator does. */
function longestStep({ topology }: SyntheticTraffic, fromMs: number): number {
  let longest = 0
  for (let afterMs = 0; afterMs < 10_000; afterMs += 200) {
    const begun = cpuMs()
    topology.advance(fromMs + afterMs)
    longest = Math.max(longest, cpuMs() - begun)
  }
  return longest
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Answers one after the other, every edge changed before each by `touch`. */
function timeAnswers(
  { topology, firstMinute }: SyntheticTraffic,
  nowMs: number,
  count: number,
  touch: () => void,
) {
  const fromMs = firstMinute * minuteMs
  const query = { fromMs, toMs: fromMs + minutes * minuteMs, groupBy: 'process' as const, limit: services }
  const times: number[] = []
  const cpuTimes: number[] = []
  let text: Uint8Array<ArrayBuffer> | undefined
  for (let i = 0; i < warmUps + count; i++) {
    touch()
    const begun = performance.now()
    const begunCpu = cpuMs()
    text = topology.topologyJson(query, nowMs, text)
    if (i < warmUps) continue
    cpuTimes.push(cpuMs() - begunCpu)
    times.push(performance.now() - begun)
  }
  const megabytes = Math.round((text?.length ?? 0) / 1e5) / 10
  const method = `${count} answers of ${megabytes} MB, every edge changed before each; edges as summaries; computed and written, not sent`
  return { times, cpuTimes, method }
}

function measureAnswers(traffic: SyntheticTraffic, nowMs: number): readonly Figure[] {
  const { times, cpuTimes, method } = timeAnswers(traffic, nowMs, queries, () =>
    traffic.touch(traffic.firstMinute + minutes - 1),
  )
  const figure = { unit: 'ms', method, spread: spread(times) }
  return [
    { ...figure, name: answerName, value: Math.round(percentile(times, 99) * 10) / 10, reach: '<= 50' },
    {
      ...figure,
      name: cpuName,
      value: Math.round(percentile(cpuTimes, 99) * 10) / 10,
      reach: '',
      spread: spread(cpuTimes),
    },
    { ...figure, name: medianName, value: Math.round(percentile(times, 50) * 10) / 10, reach: '' },
  ]
}

/** The same world, and on each of its edges requests in every minute. */
function measureSaid(): readonly Figure[] {
  const traffic = new SyntheticTraffic(services, edges)
  const { topology, firstMinute } = traffic
  for (let minute = firstMinute; minute < firstMinute + minutes; minute++) {
    longestStep(traffic, minute * minuteMs + 31_000)
    traffic.fill(minute)
    traffic.say(minute)
  }
  const nowMs = (firstMinute + minutes - 1) * minuteMs + 31_000
  const said = topology.book(0).said(firstMinute + minutes - 1)!
  const { times, method } = timeAnswers(traffic, nowMs, saidQueries, () => {
    traffic.touch(firstMinute + minutes - 1)
    for (let row = 0; row < said.rowCount; row++) said.add(row, 0, 1)
  })
  const figure = { unit: 'ms', method, spread: spread(times) }
  return [
    { ...figure, name: saidName, value: Math.round(Math.max(...times) * 10) / 10, reach: '' },
    { ...figure, name: saidMedianName, value: Math.round(percentile(times, 50) * 10) / 10, reach: '' },
  ]
}

function measureRestart(segments: readonly Uint8Array[], nowMs: number): Figure {
  const kept = Array.from({ length: restartMinutes }, (_, i) =>
    segmentAtMinute(segments[i % segments.length]!, Math.floor(nowMs / minuteMs) - restartMinutes + i),
  )
  const topology = createTopology({ index: createEntityIndex(), startMs: nowMs + minuteMs })
  const begun = performance.now()
  for (const bytes of kept) if (!topology.load(bytes).ok) throw new Error('a segment of our own was refused')
  const seconds = (performance.now() - begun) / 1000
  return {
    name: restartName,
    value: Math.round((seconds / (kept.length * edges)) * 1e6 * 100) / 100,
    unit: 's',
    reach: '<= 2',
    method: `${kept.length} segments decoded, checked and interned by a process that has just begun, from memory`,
  }
}

export const measurements: readonly Measurement[] = [
  { names: [bytesName, answerName, cpuName, medianName, closingName, restartName], measure },
  { names: [saidName, saidMedianName], measure: measureSaid },
]
