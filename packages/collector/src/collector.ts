import { availableParallelism, hostname } from 'node:os'
import { type BusPublisher, firstLayout, type PartitionLayout, SkybraidError } from '@skybraid/shared'
import type { BatchStore } from './batch/batch-store.ts'
import { createPublisher, type Publisher } from './batch/publisher.ts'
import { createSealer } from './batch/seal.ts'
import { randomBootId } from './boot-id.ts'
import { type Clock, systemClock } from './clock.ts'
import type { CollectorConfig } from './config.ts'
import { collectorCounters, noCounters } from './counters.ts'
import { freeBytes } from './free-bytes.ts'
import { createIntake, type Intake } from './intake.ts'
import type { Log } from './log.ts'
import { createPartitionSplit } from './partition-split.ts'
import { protocolBits } from './protocol-list.ts'
import { defaultBudgetCores, parseSampling, type SamplingMode } from './sampling/sampling-control.ts'
import { driveSampling, type Sampling } from './sampling/sampling-driver.ts'
import { type Capture, type HookReport, type OpenCaptureOptions, openCapture } from './source/open-capture.ts'
import { createSpool, type Spool, type SpoolEntry } from './spool/spool.ts'
import { type CollectorStatus, collectorStatus } from './status.ts'

export type CaptureSource = (options: OpenCaptureOptions) => Capture

export interface CollectorOptions {
  readonly config: CollectorConfig
  readonly bus: CollectorBus
  readonly log: Log
  /** Random unless told: 16 hexadecimal digits. */
  readonly bootId?: string
  /** How records are split; as configured, unless told. */
  readonly layout?: PartitionLayout
  /** Where batches go that find no room in the spool, and what is left at the end. */
  readonly store?: BatchStore
  readonly clock?: Clock
  /** Where flushes come from; the kernel unless told. */
  readonly source?: CaptureSource
  /** Folder with the compiled bpf objects; that of this installation unless told. */
  readonly objectDir?: string
  /** How long `close` waits for the bus to take what is left. */
  readonly drainMs?: number
  /** Processor time of this process in milliseconds, for adaptive sampling. */
  readonly cpuMs?: () => number
}

/** A bus that may be away for a while. */
export interface CollectorBus extends BusPublisher {
  /** Calls `listener` at once where the bus is there, and whenever it is back: nothing waits longer than it has to. */
  onReady?(listener: () => void): void
}

export interface CloseReport {
  /** Records that nobody has: neither the bus acknowledged them nor the store took them. */
  readonly unacknowledged: number
  /** Records that wait in the store for the next process. */
  readonly stored: number
}

export interface Collector {
  readonly node: string
  readonly bootId: string
  readonly hooks: readonly HookReport[]
  readonly capabilities: number
  status(): CollectorStatus
  /** How records are split from now on, or from a minute that is to come. */
  setLayout(layout: PartitionLayout): void
  /** From now on new connections are recorded at this rate. */
  setSampling(mode: SamplingMode): void
  /**
   * Takes the last flush, detaches from the kernel, and waits for the bus to take what is left. Idempotent; resolves
   * also if the bus does not answer, and says how many records were left.
   */
  close(): Promise<CloseReport>
}

/**
 * Attaches to the kernel and publishes what it sees to `bus` until `close`. Nothing global: several collectors can
 * run in one process, each on its own cgroup subtree. Rejects with SB_CONFIG or SB_CAPTURE and one plain sentence.
 */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const { config, log, bus, clock = systemClock, source = openCapture } = options
  const node = config.node ?? hostname()
  const bootId = options.bootId ?? randomBootId()
  const { store } = options
  const spool = createSpool(config.spool, store === undefined ? {} : { overflow: putAside })
  const intake = createIntake(node, spool, clock, log)
  let capture: Capture | undefined
  // One reading of the kernel's counters per flush serves all batches sealed until the next.
  let latest = noCounters
  let sampling: Sampling | undefined
  const identity = {
    node,
    bootId,
    cluster: config.cluster,
    flushIntervalMs: config.flush,
    get capabilities() {
      return capture?.capabilities ?? 0
    },
    get sampling() {
      return sampling?.exponent ?? 0
    },
  }
  const totals = () => collectorCounters(latest, intake.counts.received, spool.counts)
  const sealer = createSealer(identity, totals, () => clock.nowMs())
  const publisher = createPublisher({
    bus,
    spool,
    clock,
    seal: sealer.seal,
    ...(store === undefined ? {} : { store }),
    onTrouble: err => log.warn({ node, err }, 'the bus does not take batches; they wait in the spool'),
    onRecovered: () => log.info({ node }, 'the bus takes batches again'),
    onPublished: ({ message }) => freeBytes(message.data),
  })
  bus.onReady?.(() => publisher.retryNow())
  function putAside(entry: SpoolEntry): boolean {
    if (store === undefined) return false
    const batch = sealer.seal(entry)
    if (store.put(batch)) return true
    sealer.takeBack(batch)
    return false
  }
  /** A partition of an epoch that is over has said all it had, which no reader would know otherwise. */
  function sayEpochsEnd(): void {
    const minute = intake.counts.completeMinute
    for (const partition of minute < 0 ? [] : split.over(minute))
      spool.add({ ...stopEntry, partition, baseUnixMs: minute * minuteMs })
  }
  function onFlush(flush: ArrayBuffer): void {
    latest = capture?.counters() ?? latest
    intake.accept(flush)
    sayEpochsEnd()
    publisher.pump()
    // sealing copied all of it, unless something still waits
    if (spool.counts.waitingBatches === 0) freeBytes(new Uint8Array(flush))
  }
  // Nothing follows in any partition: with the last figures, so that both identities end without a rest.
  function sayStop(): void {
    latest = capture?.counters() ?? latest
    const minute = Math.floor(clock.nowMs() / minuteMs)
    for (const partition of split.running(minute))
      spool.add({ ...stopEntry, partition, baseUnixMs: minute * minuteMs })
  }
  const split = createPartitionSplit(options.layout ?? firstLayout(config.partitions), epoch =>
    capture?.setPartitions(epoch.first, epoch.partitions, epoch.fromMinute),
  )
  const startedUnixMs = clock.nowMs()
  const opened = attach(source, { ...captureOptions(options), onFlush })
  capture = opened
  split.begin(Math.floor(startedUnixMs / minuteMs))
  const rate = startSampling(options, opened, clock)
  sampling = rate
  const parts = {
    node,
    bootId,
    cluster: config.cluster,
    sampling: rate,
    startedUnixMs,
    spoolBytes: config.spool,
    capture,
    intake,
    spool,
    publisher,
    store,
  }
  let closing: Promise<CloseReport> | undefined
  return {
    node,
    bootId,
    hooks: opened.hooks,
    capabilities: opened.capabilities,
    status: () => collectorStatus(parts),
    setSampling: rate.configure,
    setLayout: layout => split.take(layout, Math.floor(clock.nowMs() / minuteMs)),
    close() {
      rate.stop()
      closing ??= shut({
        capture: opened,
        publisher,
        intake,
        spool,
        store,
        log,
        sayStop,
        drainMs: options.drainMs ?? 5_000,
      })
      return closing
    },
  }
}

const minuteMs = 60_000
const stopEntry = { recordCount: 0, minuteComplete: false, cleanStop: true, body: new Uint8Array(0) } as const

interface Shutting {
  readonly capture: Capture
  readonly publisher: Publisher
  readonly intake: Intake
  readonly spool: Spool
  readonly store: BatchStore | undefined
  readonly log: Log
  readonly sayStop: () => void
  readonly drainMs: number
}

async function shut(parts: Shutting): Promise<CloseReport> {
  const { capture, publisher, intake, spool, store, log, sayStop, drainMs } = parts
  capture.close()
  const { recordsEncoded, recordsMerged, recordsSampledOut } = capture.counters()
  const missing = recordsEncoded - recordsMerged - recordsSampledOut - intake.counts.received
  if (missing !== 0) log.error({ missing }, 'records were made and not handed over')
  const began = performance.now()
  let complete = await publisher.drained(drainMs)
  const isStopSaid = complete
  if (complete) {
    sayStop()
    complete = await publisher.drained(Math.max(500, drainMs - (performance.now() - began)))
  }
  if (!complete && store !== undefined && publisher.stow() === 0 && !isStopSaid) {
    sayStop()
    publisher.stow()
  }
  publisher.stop()
  const unacknowledged = publisher.counts.sealedRecords + spool.counts.waitingRecords
  const stored = store?.counts.waitingRecords ?? 0
  if (!complete) log.warn({ unacknowledged, stored }, 'closed before the bus took all records')
  return { unacknowledged, stored }
}

function startSampling({ config, log, cpuMs = ownCpuMs }: CollectorOptions, capture: Capture, clock: Clock) {
  const budgetCores = config.samplingBudget ?? defaultBudgetCores(availableParallelism())
  return driveSampling({
    mode: parseSampling(config.sampling) ?? 0,
    budgetCores,
    clock,
    cpuMs,
    apply: capture.setSampling.bind(capture),
    onChange: event => log.info({ node: config.node, ...event }, 'the rate of sampling changed'),
  })
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e3
}

function captureOptions({ config, objectDir }: CollectorOptions): Omit<OpenCaptureOptions, 'onFlush'> {
  if (config.cgroup === undefined) {
    throw new SkybraidError('SB_CONFIG', 'There is no cgroup directory to observe.')
  }
  return {
    cgroupPath: config.cgroup,
    flushMs: config.flush,
    partitions: config.partitions,
    ringBytes: config.ring,
    maxFlows: config.maxFlows,
    udp: config.udp,
    l7: protocolBits(config.l7) ?? 0,
    taskFiles: config.taskFiles,
    reportMs: config.report,
    announceMs: config.announce,
    ...(objectDir === undefined ? {} : { objectDir }),
  }
}

function attach(source: CaptureSource, options: OpenCaptureOptions): Capture {
  try {
    return source(options)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new SkybraidError('SB_CAPTURE', message, cause)
  }
}
