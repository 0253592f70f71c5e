import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

type Attribute = { readonly key: string; readonly value: { stringValue?: string; intValue?: string } }

interface Point {
  readonly attributes?: readonly Attribute[]
  readonly startTimeUnixNano: string
  readonly timeUnixNano: string
  readonly asInt?: string
  readonly count?: string
  readonly sum?: number
  readonly scale?: number
  readonly zeroCount?: string
  readonly positive?: { readonly offset?: number; readonly bucketCounts?: readonly string[] }
}

interface Told {
  readonly path: string
  readonly type: string
  readonly authorization: string | null
  readonly request: {
    readonly resourceMetrics?: readonly {
      readonly resource: { readonly attributes: readonly Attribute[] }
      readonly scopeMetrics: readonly {
        readonly scope: { readonly name: string }
        readonly metrics: readonly {
          readonly name: string
          readonly unit: string
          readonly sum?: Points & { readonly isMonotonic: boolean }
          readonly exponentialHistogram?: Points
        }[]
      }[]
    }[]
  }
}

interface Points {
  readonly aggregationTemporality: string
  readonly dataPoints: readonly Point[]
}

/** A point with everything that it belongs to. */
export interface Received {
  readonly metric: string
  readonly unit: string
  readonly temporality: string
  readonly resource: Readonly<Record<string, string>>
  readonly attributes: Readonly<Record<string, string>>
  readonly startNs: bigint
  readonly endNs: bigint
  /** The amount; of a histogram its count. */
  readonly value: number
  readonly sum: number | undefined
  readonly scale: number | undefined
  /** Samples by index of their bucket. */
  readonly buckets: ReadonlyMap<number, number>
}

export interface Receiver {
  readonly url: string
  readonly told: readonly Told[]
  points(): Received[]
  stop(): Promise<void>
}

const script = fileURLToPath(new URL('receiver.py', import.meta.url))

/** A receiver that is not ours: the messages are read by the published Python code. */
export async function startReceiver(python: string): Promise<Receiver> {
  const child = spawn(python, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  const told: Told[] = []
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => reject(new Error(`the receiver ended with ${code}`)))
    createInterface(child.stdout).on('line', line =>
      /^\d+$/.test(line) ? resolve(Number(line)) : told.push(JSON.parse(line) as Told),
    )
  })
  return {
    url: `http://127.0.0.1:${port}`,
    told,
    points: () => told.flatMap(pointsOf),
    async stop() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function pointsOf({ request }: Told): Received[] {
  return (request.resourceMetrics ?? []).flatMap(({ resource, scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ name, unit, sum, exponentialHistogram }) => {
        const { aggregationTemporality, dataPoints } = (sum ?? exponentialHistogram)!
        return dataPoints.map(point => ({
          metric: name,
          unit,
          temporality: aggregationTemporality,
          resource: textsOf(resource.attributes),
          attributes: textsOf(point.attributes ?? []),
          startNs: BigInt(point.startTimeUnixNano),
          endNs: BigInt(point.timeUnixNano),
          value: Number(point.asInt ?? point.count),
          sum: point.sum,
          scale: point.scale,
          buckets: bucketsOf(point),
        }))
      }),
    ),
  )
}

function textsOf(attributes: readonly Attribute[]): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? '']),
  )
}

function bucketsOf({ positive }: Point): Map<number, number> {
  const counts = (positive?.bucketCounts ?? []).map(Number)
  return new Map(counts.map((count, i) => [(positive?.offset ?? 0) + i, count]))
}
