export { formatAddress, formatV4Word, parseAddress } from './address.ts'
export type { BatchHead, BusMessage, BusPublisher, BusSubscriber } from './bus.ts'
export { jsonSchemaOf } from './config/json-schema.ts'
export {
  type ConfigResult,
  type ConfigSources,
  type LoadedConfig,
  loadConfig,
  type Origin,
} from './config/load.ts'
export { nearestName } from './config/nearest.ts'
export {
  type ConfigOf,
  type ConfigSchema,
  defineOptions,
  type HostPort,
  type Option,
  type OptionValue,
} from './config/option.ts'
export { formatConfig, formatHelp } from './config/show.ts'
export { formatHostPort, formatValue } from './config/value.ts'
export { type ErrorCode, errorCodes, SkybraidError } from './errors.ts'
export {
  bucketIndex,
  bucketLowerBound,
  bucketMiddle,
  bucketSlot,
  bucketSlots,
  bucketUpperBound,
  histogramScale,
  slotBucket,
} from './histogram/bucket.ts'
export {
  createHistogram,
  decodeSparse,
  type ExponentialHistogram,
  encodeSparse,
  largestPossible,
  mergeHistogram,
  type OtlpExponentialHistogram,
  percentile,
  recordSample,
  sampleCount,
  slotValue,
  toOtlp,
} from './histogram/exponential.ts'
export { createInProcessBus, type InProcessBus, type InProcessBusOptions } from './in-process-bus.ts'
export { type LossPlace, lossPlaces } from './loss.ts'
export {
  expositionContentType,
  formatExposition,
  type Metric,
  type MetricType,
  type Sample,
} from './metrics/exposition.ts'
export { mix32 } from './mix32.ts'
export {
  type Epoch,
  epochAt,
  epochOf,
  firstLayout,
  mostPartitions,
  type PartitionLayout,
  parseLayout,
  partitionsOf,
  sharingKeys,
  untilMinute,
  withEpoch,
} from './partition-layout.ts'
export { type BodyPart, largestBodyBytes } from './record/body-writer.ts'
export type {
  BatchHeader,
  DecodeResult,
  DnsName,
  FlowColumns,
  L7Column,
  L7Columns,
  L7Count,
  L7Verdict,
  LossCount,
  MalformedReason,
  Operation,
  Owner,
  U32Column,
  U64Column,
} from './record/columns.ts'
export { l7ColumnFields, u32ColumnFields, u64ColumnFields } from './record/columns.ts'
export { decodeFlowBatch } from './record/decode.ts'
export { encodeBody, encodeFlowBatch, encodeHeader, type PlainHeader } from './record/encode.ts'
export { columnStart, createFlowColumns } from './record/flow-columns.ts'
export {
  EndReason,
  isV6,
  Kind,
  L7Cause,
  L7Protocol,
  l7ProtocolOf,
  Protocol,
  packKind,
  protocolOf,
  Role,
  reasonOf,
  roleOf,
  State,
  samplingOf,
  stateOf,
} from './record/kind.ts'
export { type EndName, endNames, type FlowStateName, stateNames } from './record/kind-names.ts'
export { batchLimits, schemaVersion } from './record/limits.ts'
export { mergeBodies, mergeWorkspace } from './record/merge-bodies.ts'
