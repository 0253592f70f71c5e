import { WireWriter } from '../oap/interval/wire-writer.ts'

export type Attributes = readonly (readonly [key: string, value: string | number])[]

/** One amount of a time, to be added to those before it. */
export interface Amount {
  readonly attributes: Attributes
  /** Whole, not negative. */
  readonly value: number
}

/** A distribution of a time, to be added to those before it: base 2, with `scale` as OpenTelemetry defines it. */
export interface Distribution {
  readonly attributes: Attributes
  readonly count: number
  /** Undefined where it is not known. */
  readonly sum: number | undefined
  readonly scale: number
  readonly zeroCount: number
  readonly offset: number
  readonly bucketCounts: readonly number[]
}

export interface Metric {
  readonly name: string
  readonly unit: string
  readonly amounts?: readonly Amount[]
  /** A metric has either amounts or distributions. */
  readonly distributions?: readonly Distribution[]
}

/** What was observed of one thing. */
export interface ResourceMetrics {
  readonly resource: Attributes
  readonly metrics: readonly Metric[]
}

/** What one request tells of one span of time. */
export interface MetricsRequest {
  readonly scope: string
  readonly version?: string
  readonly startMs: number
  readonly endMs: number
  readonly resources: readonly ResourceMetrics[]
}

const deltaTemporality = 1
const nsPerMs = 1_000_000n

/** An `ExportMetricsServiceRequest` of OpenTelemetry in which every metric is one of differences. */
export function encodeMetricsRequest(request: MetricsRequest): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter()
  for (const { resource, metrics } of request.resources) {
    const resourceMetrics = writer.begin(1)
    const own = writer.begin(1)
    writeAttributes(writer, 1, resource)
    writer.end(own)
    const scopeMetrics = writer.begin(2)
    const scope = writer.begin(1)
    writer.text(1, request.scope)
    writer.text(2, request.version ?? '')
    writer.end(scope)
    for (const metric of metrics) writeMetric(writer, metric, request)
    writer.end(scopeMetrics)
    writer.end(resourceMetrics)
  }
  return writer.finish()
}

function writeMetric(writer: WireWriter, metric: Metric, span: MetricsRequest): void {
  const start = writer.begin(2)
  writer.text(1, metric.name)
  writer.text(3, metric.unit)
  if (metric.amounts) writeSum(writer, metric.amounts, span)
  if (metric.distributions) writeHistogram(writer, metric.distributions, span)
  writer.end(start)
}

function writeSum(writer: WireWriter, amounts: readonly Amount[], span: MetricsRequest): void {
  const sum = writer.begin(7)
  for (const { attributes, value } of amounts) {
    const point = writer.begin(1)
    writeSpan(writer, span)
    writer.fixed64(6, BigInt(value))
    writeAttributes(writer, 7, attributes)
    writer.end(point)
  }
  writer.number(2, deltaTemporality)
  writer.number(3, 1)
  writer.end(sum)
}

function writeHistogram(
  writer: WireWriter,
  distributions: readonly Distribution[],
  span: MetricsRequest,
): void {
  const histogram = writer.begin(10)
  for (const each of distributions) {
    const point = writer.begin(1)
    writeAttributes(writer, 1, each.attributes)
    writeSpan(writer, span)
    writer.fixed64(4, BigInt(each.count))
    if (each.sum !== undefined) writer.double(5, each.sum)
    writer.signed(6, each.scale)
    writer.fixed64(7, BigInt(each.zeroCount))
    const positive = writer.begin(8)
    writer.signed(1, each.offset)
    writer.packed(2, each.bucketCounts)
    writer.end(positive)
    writer.end(point)
  }
  writer.number(2, deltaTemporality)
  writer.end(histogram)
}

function writeSpan(writer: WireWriter, { startMs, endMs }: MetricsRequest): void {
  writer.fixed64(2, BigInt(startMs) * nsPerMs)
  writer.fixed64(3, BigInt(endMs) * nsPerMs)
}

function writeAttributes(writer: WireWriter, field: number, attributes: Attributes): void {
  for (const [key, value] of attributes) {
    const attribute = writer.begin(field)
    writer.text(1, key)
    const any = writer.begin(2)
    if (typeof value === 'number') writer.whole(3, value)
    else writer.text(1, value)
    writer.end(any)
    writer.end(attribute)
  }
}
