import protobuf from 'protobufjs'

/** One amount of OpenTelemetry as `figuresInWords` has it: minute, name and value, and its attributes beside them. */
export interface MetricPoint {
  readonly minute: number
  readonly name: string
  readonly value: number
  readonly [attribute: string]: string | number
}

// as much of OpenTelemetry's messages as is sent to OAP
const described = `syntax = "proto3";
message Request { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message Resource { repeated Attribute attributes = 1; }
message ScopeMetrics { repeated Metric metrics = 2; }
message Metric { string name = 1; Sum sum = 7; }
message Sum { repeated Point data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message Point { fixed64 start = 2; fixed64 end = 3; sfixed64 as_int = 6; repeated Attribute attributes = 7; }
message Attribute { string key = 1; Value value = 2; }
message Value { oneof value { string string_value = 1; int64 int_value = 3; } }
`
const requestType = protobuf.parse(described, { keepCase: true }).root.lookupType('Request')

interface Decoded {
  readonly resource_metrics: readonly {
    readonly scope_metrics: readonly {
      readonly metrics: readonly {
        readonly name: string
        readonly sum: {
          readonly data_points: readonly {
            readonly end: string
            readonly as_int: number
            readonly attributes: readonly {
              key: string
              value: { string_value?: string; int_value?: number }
            }[]
          }[]
        }
      }[]
    }[]
  }[]
}

/** The amounts of a request. */
export function readMetricsRequest(request: Uint8Array): MetricPoint[] {
  const { resource_metrics: resources } = requestType.toObject(requestType.decode(request), {
    longs: String,
    arrays: true,
  }) as Decoded
  return resources.flatMap(({ scope_metrics: scopes }) =>
    scopes.flatMap(({ metrics }) =>
      metrics.flatMap(({ name, sum }) =>
        sum.data_points.map(({ end, as_int: value, attributes }) => ({
          minute: Number(BigInt(end) / 60_000_000_000n),
          name,
          ...Object.fromEntries(
            attributes.map(({ key, value: of }) => [key, of.string_value ?? Number(of.int_value)]),
          ),
          value: Number(value),
        })),
      ),
    ),
  )
}

/** Adds an amount to those of the same minute, name and attributes, as OAP's rules do. */
export function addPoint(to: Map<string, number>, { minute, name, value, ...attributes }: MetricPoint): void {
  const key = `${name} ${JSON.stringify(attributes)} @ ${minute}`
  to.set(key, (to.get(key) ?? 0) + value)
}
