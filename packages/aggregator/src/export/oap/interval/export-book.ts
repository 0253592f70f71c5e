import type { DeltaEdge, FinalRow } from '../../../topology/partition-deltas.ts'
import type { SaidDelta } from '../../../topology/said-deltas.ts'
import type { SeriesAmounts } from '../../otlp/series-amounts.ts'
import { type BookedOperation, bookedOperation, httpRequestsOf } from './booked-operation.ts'
import type { EndNames } from './end-names.ts'
import { createEndpointPaths, type EndpointPaths, otherPath } from './endpoint-paths.ts'
import { createFigureBook, type EndFigures } from './figure-book.ts'
import { type HttpRequests, requestCount } from './http-requests.ts'
import { noPairs } from './packed-pairs.ts'
import { createPairBook, type PairCounts } from './pair-book.ts'
import type { MinutePairs } from './pair-sums.ts'
import { Role } from './pod-pair.ts'

/** Everything of one minute that was not told yet. */
export interface MinuteTake extends MinutePairs {
  readonly requests: readonly HttpRequests[]
  readonly figures: readonly EndFigures[]
  /** What goes to OpenTelemetry. */
  readonly otlp?: readonly SeriesAmounts[]
}

export interface ExportBookOptions {
  readonly names: EndNames
  readonly counts?: PairCounts
  /** Figures that the access log has no place for are wanted, too. */
  readonly withFigures?: boolean
  /** Pairs of a client and a server per interval, at most. */
  readonly maxPairs?: number
  /** Books may share them. */
  readonly paths?: EndpointPaths
}

/** What of a partition goes to OAP, from wherever in the aggregator it is booked. */
export interface ExportBook {
  /** What an edge grew by; see `deltaCounters`. */
  add(edge: DeltaEdge, unixMinute: number, delta: Float64Array): void
  /** What one end of an edge saw of an operation of an application protocol, as it is booked, and as it is told. */
  addSaid(edge: DeltaEdge, unixMinute: number, said: SaidDelta): void
  addOperation(edge: DeltaEdge, unixMinute: number, operation: BookedOperation): void
  /** A row of a minute, or of corrections to one, that is written no more. */
  addFinal(edge: DeltaEdge, unixMinute: number, row: FinalRow): void
  /** What was added since the last time, one entry per minute, the older first. */
  drain(nowMs: number): MinuteTake[]
  readonly counts: Readonly<PairCounts>
}

const tcp = 1

export function createExportBook(options: ExportBookOptions): ExportBook {
  const { names, withFigures = false, paths = createEndpointPaths() } = options
  const pairs = createPairBook(options)
  const figures = createFigureBook()
  let requests = new Map<number, HttpRequests[]>()

  /** As of the end of the minute: what was learnt during it counts. */
  function endsOf(edge: DeltaEdge, unixMinute: number) {
    const atMs = unixMinute * 60_000 + 59_999
    const client = names.nameOf(edge.client, atMs)
    const server = names.nameOfDialled(edge.server, edge.dialled, edge.dialledPort, atMs)
    return client && server && { client, server }
  }

  /** Only what servers log makes endpoints. */
  function fitPath(http: HttpRequests, unixMinute: number): string {
    const path = paths.fit(http.local.service, http.method, http.path, unixMinute * 60_000)
    if (path === otherPath && http.path !== otherPath) pairs.counts.foldedEndpoints += requestCount(http)
    return path
  }

  function addOperation(edge: DeltaEdge, unixMinute: number, operation: BookedOperation): void {
    const ends = endsOf(edge, unixMinute)
    if (ends === undefined) return
    const isClient = operation.role === Role.client
    const [local, remote] = isClient ? [ends.client, ends.server] : [ends.server, ends.client]
    if (withFigures) figures.addOperation(local, remote, unixMinute, operation)
    const http = edge.protocol === tcp ? httpRequestsOf(operation, local, remote) : undefined
    if (http === undefined || !pairs.takes(ends.client, ends.server, unixMinute, operation.count)) return
    const fitted = isClient ? http : { ...http, path: fitPath(http, unixMinute) }
    const known = requests.get(unixMinute)
    if (known === undefined) requests.set(unixMinute, [fitted])
    else known.push(fitted)
  }

  return {
    counts: pairs.counts,
    add: pairs.add,
    addOperation,
    addSaid(edge, unixMinute, said) {
      const operation = bookedOperation(said)
      // what moved to another edge after it was told cannot be taken back
      if (operation.count > 0) addOperation(edge, unixMinute, operation)
      else pairs.counts.overstated -= operation.count
    },
    addFinal(edge, unixMinute, row) {
      const ends = withFigures ? endsOf(edge, unixMinute) : undefined
      if (ends) figures.addRow(ends.client, ends.server, unixMinute, row)
    },
    drain(nowMs) {
      const [ofPairs, ofFigures, ofRequests] = [pairs.drain(nowMs), figures.drain(), requests]
      requests = new Map()
      const byMinute = new Map(ofPairs.map(each => [each.unixMinute, each.pairs]))
      const all = new Set([...byMinute.keys(), ...ofFigures.keys(), ...ofRequests.keys()])
      return [...all]
        .sort((a, b) => a - b)
        .map(unixMinute => ({
          unixMinute,
          pairs: byMinute.get(unixMinute) ?? noPairs,
          requests: ofRequests.get(unixMinute) ?? [],
          figures: ofFigures.get(unixMinute) ?? [],
        }))
    },
  }
}
