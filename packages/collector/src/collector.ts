import { hostname } from 'node:os'
import { type BusPublisher, SkybraidError } from '@skybraid/shared'
import { createPublisher, type Publisher } from './batch/publisher.ts'
import { createSealer } from './batch/seal.ts'
import { type Clock, systemClock } from './clock.ts'
import type { CollectorConfig } from './config.ts'
import { collectorCounters, noCounters } from './counters.ts'
import { createIntake, type Intake } from './intake.ts'
import type { Log } from './log.ts'
import { type Capture, type HookReport, type OpenCaptureOptions, openCapture } from './source/open-capture.ts'
import { createSpool } from './spool/spool.ts'
import { type CollectorStatus, collectorStatus } from './status.ts'

export type CaptureSource = (options: OpenCaptureOptions) => Capture

export interface CollectorOptions {
  readonly config: CollectorConfig
  readonly bus: BusPublisher
  readonly log: Log
  readonly clock?: Clock
  /** Where flushes come from; the kernel unless told. */
  readonly source?: CaptureSource
  /** Folder with the compiled bpf objects; that of this installation unless told. */
  readonly objectDir?: string
  /** How long `close` waits for the bus to take what is left. */
  readonly drainMs?: number
}

export interface Collector {
  readonly node: string
  readonly bootId: string
  readonly hooks: readonly HookReport[]
  readonly capabilities: number
  status(): CollectorStatus
  /**
   * Takes the last flush, detaches from the kernel, and waits for the bus to take what is left. Idempotent; resolves
   * also if the bus does not answer, with a warning that says how many records were left.
   */
  close(): Promise<void>
}

/**
 * Attaches to the kernel and publishes what it sees to `bus` until `close`. Nothing global: several collectors can
 * run in one process, each on its own cgroup subtree. Rejects with SB_CONFIG or SB_CAPTURE and one plain sentence.
 */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const { config, log, bus, clock = systemClock, source = openCapture } = options
  const node = config.node ?? hostname()
  const bootId = randomBootId()
  const spool = createSpool(config.spool)
  const intake = createIntake(node, spool, clock, log)
  let capture: Capture | undefined
  // One reading of the kernel's counters per flush serves all batches sealed until the next.
  let latest = noCounters
  const identity = {
    node,
    bootId,
    cluster: config.cluster,
    flushIntervalMs: config.flush,
    get capabilities() {
      return capture?.capabilities ?? 0
    },
  }
  const totals = () => collectorCounters(latest, intake.counts.received, spool.counts.lostRecords)
  const publisher = createPublisher({
    bus,
    spool,
    clock,
    seal: createSealer(identity, totals, () => clock.nowMs()),
    onTrouble: err => log.warn({ node, err }, 'the bus does not take batches; they wait in the spool'),
    onRecovered: () => log.info({ node }, 'the bus takes batches again'),
  })
  function onFlush(flush: ArrayBuffer): void {
    latest = capture?.counters() ?? latest
    intake.accept(flush)
    publisher.pump()
  }
  // Nothing follows in any partition: with the last figures, so that both identities end without a rest.
  function sayStop(): void {
    latest = capture?.counters() ?? latest
    const baseUnixMs = Math.floor(clock.nowMs() / 60_000) * 60_000
    for (let partition = 0; partition < config.partitions; partition++) {
      spool.add({ ...stopEntry, partition, baseUnixMs })
    }
  }
  const startedUnixMs = clock.nowMs()
  const opened = attach(source, { ...captureOptions(options), onFlush })
  capture = opened
  const parts = { ...identity, startedUnixMs, spoolBytes: config.spool, capture, intake, spool, publisher }
  let closing: Promise<void> | undefined
  return {
    node,
    bootId,
    hooks: opened.hooks,
    capabilities: opened.capabilities,
    status: () => collectorStatus(parts),
    close() {
      closing ??= shut({
        capture: opened,
        publisher,
        intake,
        log,
        sayStop,
        drainMs: options.drainMs ?? 5_000,
      })
      return closing
    },
  }
}

const stopEntry = { recordCount: 0, minuteComplete: false, cleanStop: true, body: new Uint8Array(0) } as const

interface Shutting {
  readonly capture: Capture
  readonly publisher: Publisher
  readonly intake: Intake
  readonly log: Log
  readonly sayStop: () => void
  readonly drainMs: number
}

async function shut({ capture, publisher, intake, log, sayStop, drainMs }: Shutting): Promise<void> {
  capture.close()
  const { recordsEncoded, recordsMerged, recordsSampledOut } = capture.counters()
  const missing = recordsEncoded - recordsMerged - recordsSampledOut - intake.counts.received
  if (missing !== 0) log.error({ missing }, 'records were made and not handed over')
  let complete = await publisher.drained(drainMs)
  if (complete) {
    sayStop()
    complete = await publisher.drained(drainMs)
  }
  publisher.stop()
  if (!complete)
    log.warn({ unacknowledged: publisher.counts.sealedRecords }, 'closed before the bus took all records')
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

function randomBootId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}
