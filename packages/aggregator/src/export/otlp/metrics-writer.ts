import { WireWriter } from '../oap/interval/wire-writer.ts'
import { AttributeField } from './attribute-bytes.ts'

/** A distribution of a time, to be added to those before it: base 2, with `scale` as OpenTelemetry defines it. */
export interface Distribution {
  readonly count: number
  readonly scale: number
  readonly zeroCount: number
  readonly offset: number
  readonly bucketCounts: readonly number[]
}

export interface MetricsHead {
  readonly scope: string
  readonly version?: string
  /** The span of time that all of it tells of. */
  readonly startMs: number
  readonly endMs: number
}

/** Requests of OpenTelemetry in which every metric is one of differences. What has no points is not written. */
export interface MetricsWriter {
  /** What was observed of one thing: `write` writes its metrics. */
  resource(attributes: Uint8Array, write: () => void): void
  /** `write` writes its amounts. */
  sum(name: string, unit: string, write: () => void): void
  /** A whole number that is not negative; attributes as fields of a point of a sum. */
  amount(value: number, attributes: Uint8Array, more?: Uint8Array): void
  /** `write` writes its distributions. */
  histogram(name: string, unit: string, write: () => void): void
  /** Attributes as for `amount`; `sum` is undefined where it is not known. */
  distribution(value: Distribution, sum: number | undefined, attributes: Uint8Array): void
  /** An `ExportMetricsServiceRequest`; the writer is empty afterwards. */
  finish(): MetricsRequest
}

export interface MetricsRequest {
  readonly body: Uint8Array<ArrayBuffer>
  readonly points: number
}

const deltaTemporality = 1
const nsPerMs = 1_000_000n
const nothing = new Uint8Array()
/** Of a fixed64 with its tag. */
const wordBytes = 9

export function createMetricsWriter(head: MetricsHead): MetricsWriter {
  const writer = new WireWriter()
  const span = spanOf(writer, head)
  let points = 0

  function ifAny(write: () => void): void {
    const [start, before] = [writer.length, points]
    write()
    if (points === before) writer.length = start
  }

  function metric(name: string, unit: string, field: number, write: () => void): void {
    const start = writer.begin(2)
    writer.text(1, name)
    writer.text(3, unit)
    const data = writer.begin(field)
    write()
    writer.number(2, deltaTemporality)
    if (field === 7) writer.number(3, 1)
    writer.end(data)
    writer.end(start)
  }

  function writeResource(attributes: Uint8Array, write: () => void): void {
    const start = writer.begin(1)
    writer.message(1, attributes)
    const metrics = writer.begin(2)
    const scope = writer.begin(1)
    writer.text(1, head.scope)
    writer.text(2, head.version ?? '')
    writer.end(scope)
    write()
    writer.end(metrics)
    writer.end(start)
  }

  return {
    resource: (attributes, write) => ifAny(() => writeResource(attributes, write)),
    sum: (name, unit, write) => ifAny(() => metric(name, unit, 7, write)),
    amount(value, attributes, more = nothing) {
      writer.head(1, span.length + wordBytes + attributes.length + more.length)
      writer.fields(span)
      writer.fixed64(6, value)
      writer.fields(attributes)
      writer.fields(more)
      points++
    },
    histogram: (name, unit, write) => ifAny(() => metric(name, unit, 10, write)),
    distribution({ count, scale, zeroCount, offset, bucketCounts }, sum, attributes) {
      const point = writer.begin(1)
      writer.renumbered(AttributeField.other, attributes)
      writer.fields(span)
      writer.fixed64(4, count)
      if (sum !== undefined) writer.double(5, sum)
      writer.signed(6, scale)
      writer.fixed64(7, zeroCount)
      const positive = writer.begin(8)
      writer.signed(1, offset)
      writer.packed(2, bucketCounts)
      writer.end(positive)
      writer.end(point)
      points++
    },
    finish() {
      const request = { body: writer.finish(), points }
      points = 0
      return request
    },
  }
}

/** Points of all kinds have it in the same fields. */
function spanOf(writer: WireWriter, { startMs, endMs }: MetricsHead): Uint8Array {
  writer.fixed64(2, BigInt(startMs) * nsPerMs)
  writer.fixed64(3, BigInt(endMs) * nsPerMs)
  return writer.finish()
}
