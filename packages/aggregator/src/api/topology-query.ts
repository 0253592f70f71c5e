import type { EndFilter } from '../resolve/end-filter.ts'
import type { GroupBy } from '../resolve/entity.ts'
import { labelSelector } from '../resolve/label-selector.ts'
import type { ViewScope } from '../resolve/view-scope.ts'
import type { TopologyQuery } from '../topology/answer.ts'
import { invalidParameters } from './problem.ts'
import { defaultLimit } from './query-schema.ts'
import { parseTimeRange, type TimeParameters, type TimeRange } from './time-range.ts'

export interface GraphParameters {
  readonly groupBy?: GroupBy | undefined
  readonly focus?: string | undefined
  readonly depth?: number | undefined
  readonly protocol?: 'tcp' | 'udp' | undefined
  readonly minBytes?: number | undefined
  readonly limit?: number | undefined
  readonly include?: 'detail' | undefined
  readonly namespace?: readonly string[] | undefined
  readonly labels?: string | undefined
}

/** The range of a request; throws the 400 where it makes no sense. */
export function rangeOf(given: TimeParameters, nowMs: number, maxRangeMs: number): TimeRange {
  const result = parseTimeRange(given, nowMs, maxRangeMs)
  if (!result.ok) throw invalidParameters(result.errors)
  return result.range
}

/** Which ends a request asks for; undefined for all. Throws the 400 where it is none. */
export function endFilterOf(given: Pick<GraphParameters, 'namespace' | 'labels'>): EndFilter | undefined {
  const { namespace = [], labels } = given
  if (namespace.length === 0 && labels === undefined) return undefined
  const selector = labels === undefined ? [] : labelSelector(labels)
  if (selector === undefined)
    throw invalidParameters([{ parameter: 'labels', detail: 'is no label selector, as app=web,tier!=db' }])
  return { namespaces: [...new Set(namespace)].sort(), labels: selector }
}

/** The core's query of a request; throws the 400 where parameters contradict each other. */
export function topologyQuery(
  given: GraphParameters,
  range: TimeRange,
  defaultGroupBy: GroupBy,
  scope: ViewScope | undefined,
): TopologyQuery {
  const ends = endFilterOf(given)
  if (given.depth !== undefined && given.focus === undefined) {
    throw invalidParameters([{ parameter: 'depth', detail: 'goes with focus' }])
  }
  return {
    fromMs: range.fromMs,
    toMs: range.toMs,
    groupBy: given.groupBy ?? defaultGroupBy,
    limit: given.limit ?? defaultLimit,
    ...(given.focus && { focus: given.focus, depth: given.depth ?? 1 }),
    ...(given.protocol && { protocol: given.protocol }),
    ...(ends && { ends }),
    ...(scope && { scope }),
    ...(given.include && { detail: true }),
    ...(given.minBytes && { minBytes: given.minBytes }),
  }
}
