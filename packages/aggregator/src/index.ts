export { type Aggregator, type AggregatorOptions, startAggregator } from './aggregator.ts'
export {
  type ApiDeps,
  type ApiOptions,
  type ApiReader,
  type ApiServer,
  type CollectorSelfStatus,
  defaultApiOptions,
  type Readiness,
} from './api/api-deps.ts'
export { buildServer } from './api/server.ts'
export { type AggregatorConfig, aggregatorConfigSchema } from './config.ts'
export { type Core, type CoreOptions, createCore } from './core.ts'
export { checkOap, type OapCheck } from './export/oap/check-oap.ts'
export { oapConfigProblem, oapConfigSchema } from './export/oap/options.ts'
export type {
  Completeness,
  DirectionLoss,
  FlowEnd,
  FlowQuery,
  FlowView,
  IngestStatus,
  NodeStatus,
  Percentiles,
  SideTcp,
  SideUdp,
  TcpEdge,
  TopologyAnswer,
  TopologyEdge,
  TopologyNode,
  TopologyQuery,
  TopologyReader,
  UnknownLoss,
} from './topology/answer.ts'
