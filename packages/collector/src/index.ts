export { type Clock, systemClock } from './clock.ts'
export { type CaptureSource, type Collector, type CollectorOptions, startCollector } from './collector.ts'
export { type CollectorConfig, collectorConfigSchema } from './config.ts'
export type { Log } from './log.ts'
export {
  type Capture,
  type CaptureCounters,
  type HookReport,
  type OpenCaptureOptions,
  openCapture,
} from './source/open-capture.ts'
export type { CollectorStatus, RecordsIdentity, RingIdentity } from './status.ts'
