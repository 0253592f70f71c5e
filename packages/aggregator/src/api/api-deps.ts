import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { BusStatus } from '../bus/bus-status.ts'
import type { OapStatus } from '../export/oap/oap-status.ts'
import type { OtlpStatus } from '../export/otlp-push/otlp-status.ts'
import type { KubernetesStatus } from '../kube/kubernetes.ts'
import type { GroupBy } from '../resolve/entity.ts'
import type { TopologyReader } from '../topology/answer.ts'
import type { AnswerCache } from './answer-cache.ts'
import type { WaysIn } from './auth/ways-in.ts'
import type { BodyStore } from './body-store.ts'

export type ApiServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** What a collector in this process says about itself; shown as it is. */
export type CollectorSelfStatus = object

export interface ApiOptions {
  /** Longest range a request may ask for. */
  readonly maxRangeMs: number
  readonly maxStreamClients: number
  /** Bytes that may wait for a live client that doesn't read, before it is cut. */
  readonly streamBufferBytes: number
  readonly streamHeartbeatMs: number
  /** How often the live streams look for changes. */
  readonly streamTickMs: number
  /** How often it is asked whether a live client may still see what it sees. */
  readonly streamAccessMs: number
  /** Requests per second and client, averaged over ten seconds; 0 for no limit. */
  readonly requestsPerSecond: number
  /** Per-edge series in `/metrics`; 0 for none, otherwise the most edges to show. */
  readonly edgeMetrics: number
  /** Refuse requests whose Host header is not a loopback name (DNS rebinding). */
  readonly loopbackOnly: boolean
  /** Where a request does not say. */
  readonly defaultGroupBy: GroupBy
}

export const defaultApiOptions: ApiOptions = {
  maxRangeMs: 24 * 60 * 60_000,
  maxStreamClients: 64,
  streamBufferBytes: 1024 * 1024,
  streamHeartbeatMs: 15_000,
  streamTickMs: 500,
  streamAccessMs: 30_000,
  requestsPerSecond: 100,
  edgeMetrics: 0,
  loopbackOnly: true,
  defaultGroupBy: 'process',
}

export interface Readiness {
  readonly ready: boolean
  /** In words, why not. */
  readonly reasons: readonly string[]
}

/** The core as the API reads it: large answers are never made as objects. */
export type ApiReader = TopologyReader & Required<Pick<TopologyReader, 'topologyJson' | 'changedSince'>>

/** What the server is built from; everything that varies comes in here. */
export interface ApiDeps extends WaysIn {
  readonly reader: ApiReader
  /** Unix milliseconds. */
  readonly now: () => number
  readonly log: FastifyBaseLogger
  readonly version: string
  readonly readiness: () => Readiness
  readonly collectors: () => readonly CollectorSelfStatus[]
  /** What the export to OAP says about itself; undefined where there is none. */
  readonly oap?: () => OapStatus
  /** What the export to OpenTelemetry says about itself; undefined where there is none. */
  readonly otlp?: () => OtlpStatus
  /** What the watch of Kubernetes says about itself; undefined where there is none. */
  readonly kubernetes?: () => KubernetesStatus
  /** Of an aggregator that reads a bus outside the process. */
  readonly bus?: () => BusStatus
  /** What a reader of any answer should know. */
  readonly notes?: readonly string[]
  readonly options: ApiOptions
}

/** What the routes share beside the deps. */
export interface ApiContext extends ApiDeps {
  readonly cache: AnswerCache
  readonly bodies: BodyStore
  readonly streams: StreamCounts
}

export interface StreamCounts {
  clients(): number
  cut(): number
}
