import { AttributeField, type Attributes, attributeBytes } from '../../otlp/attribute-bytes.ts'
import { createMetricsWriter } from '../../otlp/metrics-writer.ts'
import { type EncodeCounts, isMinuteInRange, type OapInterval, refuse } from './access-log.ts'
import { externalService, type NameProblem, nameProblem } from './end-name.ts'
import { type EndFigures, sideFigures } from './figure-book.ts'
import { type LatencyBuckets, latencyBoundsUs } from './latency-buckets.ts'
import { Role } from './pod-pair.ts'

/** The rules of OAP that read these metrics select by it: helm/skybraid/files/oap/otel-rules/skybraid/. */
const job = 'skybraid'
const prefix = 'skybraid_'
const minuteMs = 60_000

export interface OapMetrics {
  readonly request: Uint8Array<ArrayBuffer>
  readonly points: number
}

type FiguresOfMinute = Pick<OapInterval, 'unixMinute' | 'figures'>
type Refusals = Pick<EncodeCounts, 'refused'>

const resource = attributeBytes(AttributeField.other, [['service.name', job]])
/** Figures of one request: OAP evaluates its rules over a request at a time. */
const figuresAtOnce = 200

/**
 * What the access log has no place for, as amounts that OAP's rules add up. A request holds one minute, stamped with its
 * middle. Latencies are counted by the bound of their bucket, as OAP counts them itself. It takes bounds for seconds and
 * makes milliseconds of them: of milliseconds it makes microseconds, in which it then answers.
 */
export function* encodeFigures(
  interval: FiguresOfMinute,
  nowMs: number,
  counts: Refusals,
): Generator<OapMetrics> {
  const { unixMinute } = interval
  const figures = borneFigures(interval, nowMs, counts)
  if (figures.length === 0) return
  const startMs = unixMinute * minuteMs
  const writer = createMetricsWriter({ scope: job, startMs, endMs: startMs + minuteMs / 2 })
  for (let first = 0; first < figures.length; first += figuresAtOnce) {
    const metrics = metricsOf(figures.slice(first, first + figuresAtOnce))
    writer.resource(resource, () => {
      for (const { name, amounts } of metrics)
        writer.sum(name, unitOf(name), () => {
          for (const { attributes, value } of amounts)
            writer.amount(value, attributeBytes(AttributeField.sum, attributes))
        })
    })
    const { body, points } = writer.finish()
    if (points > 0) yield { request: body, points }
  }
}

/** The same, for people. */
export function* figuresInWords(
  interval: FiguresOfMinute,
  nowMs: number,
  counts: Refusals,
): Generator<object> {
  for (const { name, amounts } of metricsOf(borneFigures(interval, nowMs, counts)))
    for (const { attributes, value } of amounts)
      yield { minute: interval.unixMinute, name, ...Object.fromEntries(attributes), value }
}

/** What OAP can bear: it checks metrics as little as logs. */
function borneFigures(
  { unixMinute, figures = [] }: FiguresOfMinute,
  nowMs: number,
  counts: Refusals,
): readonly EndFigures[] {
  if (!isMinuteInRange(unixMinute, nowMs)) {
    if (figures.length > 0) refuse(counts, 'minute_out_of_range', figures.length)
    return []
  }
  return figures.filter(each => {
    const problem = figureProblem(each)
    if (problem !== undefined) refuse(counts, problem, 1)
    return problem === undefined
  })
}

function figureProblem(figures: EndFigures): NameProblem | 'bad_amount' | undefined {
  const { service, peer, amounts, roundTrips, requests } = figures
  const named = [service, peer || externalService].map(name => ({ service: name, pod: '', properties: [] }))
  const latencies = [roundTrips, ...[...requests.values()].map(each => each.latencies)]
  const areSound =
    amounts.every(isSound) &&
    [...requests.values()].every(({ count }) => isSound(count)) &&
    latencies.every(({ count, sumUs, counts }) => isSound(count) && isSound(sumUs) && counts.every(isSound))
  return nameProblem(named[0]) ?? nameProblem(named[1]) ?? (areSound ? undefined : 'bad_amount')
}

/** Less than 0 is what was taken back, which is left out where it is told. */
function isSound(amount: number): boolean {
  return Math.abs(amount) <= Number.MAX_SAFE_INTEGER
}

interface Amount {
  readonly attributes: Attributes
  readonly value: number
}

interface Metric {
  readonly name: string
  readonly amounts: readonly Amount[]
}

function metricsOf(figures: readonly EndFigures[]): Metric[] {
  const metrics = new Map<string, Amount[]>()
  for (const each of figures) addFigures(metrics, each)
  return [...metrics].map(([name, amounts]) => ({ name, amounts }))
}

function unitOf(name: string): string {
  return name.endsWith('_us_sum') ? 'us' : '1'
}

function addFigures(metrics: Map<string, Amount[]>, figures: EndFigures): void {
  const isClient = figures.role === Role.client
  const peer = figures.peer || externalService
  const common: Attributes = [
    ['side', isClient ? 'client' : 'server'],
    ['service', figures.service],
    ['client', isClient ? figures.service : peer],
    ['server', isClient ? peer : figures.service],
  ]
  for (const [i, [name, attribute]] of sideFigures.entries())
    add(metrics, name, attribute === undefined ? common : [...common, attribute], figures.amounts[i])
  addLatencies(metrics, 'round_trip', common, figures.roundTrips)
  for (const { protocol, outcome, count, latencies } of figures.requests.values()) {
    const own: Attributes = [...common, ['protocol', protocol]]
    add(metrics, 'requests', [...own, ['outcome', outcome]], count)
    addLatencies(metrics, 'request', [...own, ['outcome', outcome]], latencies)
  }
}

function addLatencies(
  metrics: Map<string, Amount[]>,
  name: string,
  attributes: Attributes,
  { counts, count, sumUs }: LatencyBuckets,
): void {
  if (count <= 0) return
  add(metrics, `${name}_us_count`, attributes, count)
  add(metrics, `${name}_us_sum`, attributes, sumUs)
  for (let bucket = 0; bucket < counts.length; bucket++) {
    const bound = latencyBoundsUs[bucket]
    const le = bound === undefined ? 'Infinity' : String(bound / 1000)
    add(metrics, `${name}_ms_bucket`, [...attributes, ['le', le]], counts[bucket])
  }
}

/** Amounts that were taken back after they had been told cannot be; OAP takes no negative ones. */
function add(metrics: Map<string, Amount[]>, name: string, attributes: Attributes, amount: number): void {
  const value = Math.round(amount)
  if (value <= 0) return
  const known = metrics.get(prefix + name)
  if (known === undefined) metrics.set(prefix + name, [{ attributes, value }])
  else known.push({ attributes, value })
}
