export type { BatchStore, BatchStoreCounts } from './batch/batch-store.ts'
export type { SealedBatch } from './batch/seal.ts'
export { randomBootId } from './boot-id.ts'
export { type Clock, systemClock } from './clock.ts'
export {
  type CaptureSource,
  type CloseReport,
  type Collector,
  type CollectorBus,
  type CollectorOptions,
  startCollector,
} from './collector.ts'
export { type CollectorConfig, collectorConfigSchema } from './config.ts'
export type { Log } from './log.ts'
export { parseSampling, type SamplingMode } from './sampling/sampling-control.ts'
export {
  type Capture,
  type CaptureCounters,
  type HookReport,
  type OpenCaptureOptions,
  openCapture,
} from './source/open-capture.ts'
export type { CollectorStatus, RecordsIdentity, RingIdentity } from './status.ts'
