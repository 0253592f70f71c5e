export { type ConnectOptions, connectNats, type NatsLink } from './connect.ts'
export { compressFlowPayload, decodeFlowPayload, sniffFlowEncoding } from './flow-body.ts'
export {
  type FlowEncoding,
  type FlowMessageHead,
  flowHead,
  flowHeader,
  flowHeaders,
  flowMessageId,
} from './flow-message.ts'
export type { NatsLog, NatsState } from './link-state.ts'
export { type NatsConfig, natsConfigProblem, natsConfigSchema } from './options.ts'
export { readLayout } from './read-layout.ts'
export {
  ensureStreams,
  type StreamDifference,
  type StreamReport,
  type StreamSettings,
  streamConfigSchema,
} from './streams.ts'
export {
  exportBucket,
  type FlowSubject,
  flowFilter,
  flowPartitionFilter,
  flowStream,
  flowSubject,
  layoutBucket,
  layoutKey,
  nodeToken,
  parseFlowSubject,
  parseRollupSubject,
  rollupFilter,
  rollupStream,
  rollupSubject,
} from './subjects.ts'
