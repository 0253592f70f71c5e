import { WireWriter } from '../oap/interval/wire-writer.ts'

export type Attributes = readonly (readonly [key: string, value: string])[]

/** One amount of a time, to be added to those before it. */
export interface Amount {
  readonly attributes: Attributes
  /** Whole, not negative. */
  readonly value: number
}

export interface Metric {
  readonly name: string
  readonly unit: string
  readonly amounts: readonly Amount[]
}

/** What one request tells of one span of time. */
export interface MetricsRequest {
  readonly resource: Attributes
  readonly scope: string
  readonly startMs: number
  readonly endMs: number
  readonly metrics: readonly Metric[]
}

const deltaTemporality = 1
const nsPerMs = 1_000_000n

/** An `ExportMetricsServiceRequest` of OpenTelemetry in which every metric is a sum of differences. */
export function encodeMetricsRequest(request: MetricsRequest): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter()
  const resourceMetrics = writer.begin(1)
  const resource = writer.begin(1)
  writeAttributes(writer, 1, request.resource)
  writer.end(resource)
  const scopeMetrics = writer.begin(2)
  const scope = writer.begin(1)
  writer.text(1, request.scope)
  writer.end(scope)
  for (const metric of request.metrics) writeMetric(writer, metric, request)
  writer.end(scopeMetrics)
  writer.end(resourceMetrics)
  return writer.finish()
}

function writeMetric(writer: WireWriter, metric: Metric, { startMs, endMs }: MetricsRequest): void {
  const start = writer.begin(2)
  writer.text(1, metric.name)
  writer.text(3, metric.unit)
  const sum = writer.begin(7)
  for (const { attributes, value } of metric.amounts) {
    const point = writer.begin(1)
    writer.fixed64(2, BigInt(startMs) * nsPerMs)
    writer.fixed64(3, BigInt(endMs) * nsPerMs)
    writer.fixed64(6, BigInt(value))
    writeAttributes(writer, 7, attributes)
    writer.end(point)
  }
  writer.number(2, deltaTemporality)
  writer.number(3, 1)
  writer.end(sum)
  writer.end(start)
}

function writeAttributes(writer: WireWriter, field: number, attributes: Attributes): void {
  for (const [key, value] of attributes) {
    const attribute = writer.begin(field)
    writer.text(1, key)
    const any = writer.begin(2)
    writer.text(1, value)
    writer.end(any)
    writer.end(attribute)
  }
}
