export type { BusMessage, BusPublisher, BusSubscriber } from './bus.ts'
export { type LossPlace, lossPlaces } from './loss.ts'
export type {
  BatchHeader,
  DecodeResult,
  DnsName,
  FlowColumns,
  LossCount,
  MalformedReason,
  Owner,
  U32Column,
  U64Column,
} from './record/columns.ts'
export { u32ColumnFields, u64ColumnFields } from './record/columns.ts'
export { decodeFlowBatch } from './record/decode.ts'
export { encodeBody, encodeFlowBatch, encodeHeader, type PlainHeader } from './record/encode.ts'
export { createFlowColumns } from './record/flow-columns.ts'
export {
  EndReason,
  isV6,
  Kind,
  Protocol,
  packKind,
  protocolOf,
  Role,
  reasonOf,
  roleOf,
  State,
  stateOf,
} from './record/kind.ts'
export { batchLimits, schemaVersion } from './record/limits.ts'
