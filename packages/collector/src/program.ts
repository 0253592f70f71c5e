// What only the collector as a program of its own needs: the bus over NATS, the spool's directory, the status pages.
export { BusRefusal, type RefusalKind, refusalKinds } from './bus/bus-refusal.ts'
export { followLayout } from './bus/follow-layout.ts'
export {
  type BusStatus,
  createJetStreamPublisher,
  type JetStreamPublisher,
  type JetStreamPublisherOptions,
} from './bus/jetstream-publisher.ts'
export { type CollectorBusConfig, collectorBusConfigSchema } from './bus-config.ts'
export { collectorMetrics, type ProcessFigures } from './http/collector-metrics.ts'
export { type Readiness, type StatusServer, startStatusServer } from './http/status-server.ts'
export { dropCapabilities, releaseStartupCode } from './source/open-capture.ts'
export { type FileStoreOptions, openFileStore } from './store/file-store.ts'
