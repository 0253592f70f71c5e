import { hostname } from 'node:os'
import { type BusPublisher, type LossPlace, SkybraidError } from '@skybraid/shared'
import { createPublisher, type Publisher } from './batch/publisher.ts'
import { createSealer } from './batch/seal.ts'
import { type Clock, systemClock } from './clock.ts'
import type { CollectorConfig } from './config.ts'
import { type CollectorCounters, collectorCounters } from './counters.ts'
import type { Log } from './log.ts'
import {
  type Capture,
  type CaptureCounters,
  type HookReport,
  type OpenCaptureOptions,
  openCapture,
} from './source/open-capture.ts'
import { readFrames } from './source/read-frames.ts'
import { createSpool } from './spool/spool.ts'

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

export interface CollectorStatus {
  readonly node: string
  readonly cluster: string
  readonly bootId: string
  readonly startedUnixMs: number
  readonly lastFlushUnixMs: number
  readonly capabilities: number
  readonly hooks: readonly HookReport[]
  /** produced = consumed + full + waiting; `waiting` rows are in the ring. */
  readonly ring: {
    readonly produced: number
    readonly consumed: number
    readonly full: number
    readonly waiting: number
    readonly holds: boolean
  }
  /** encoded = published + merged + sampledOut + queued + spool_full. */
  readonly records: {
    readonly encoded: number
    readonly published: number
    readonly merged: number
    readonly sampledOut: number
    readonly queued: number
    readonly lost: Readonly<Partial<Record<LossPlace, number>>>
    readonly holds: boolean
  }
  readonly spool: { readonly batches: number; readonly bytes: number; readonly capacityBytes: number }
  readonly publish: { readonly batches: number; readonly unacknowledged: number; readonly rejections: number }
  readonly flows: Pick<CaptureCounters, 'sockets' | 'openFlows' | 'adopted' | 'keyUnsettled' | 'dnsMalformed'>
  /** Flushes that were not a whole sequence of frames: a bug, and their records are missing. */
  readonly brokenFlushes: number
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

const noCounters: CaptureCounters = {
  ringProduced: 0,
  ringConsumed: 0,
  ringFull: 0,
  storageRefused: 0,
  udpMapFull: 0,
  flowTableFull: 0,
  adopted: 0,
  keyUnsettled: 0,
  sockets: 0,
  openFlows: 0,
  recordsEncoded: 0,
  recordsMerged: 0,
  dnsMalformed: 0,
}

const lossLogIntervalMs = 10_000

/**
 * Attaches to the kernel and publishes what it sees to `bus` until `close`. Nothing global: several collectors can
 * run in one process, each on its own cgroup subtree. Throws SB_CONFIG or SB_CAPTURE with one plain sentence.
 */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const { config, log, bus, clock = systemClock, source = openCapture, drainMs = 5_000 } = options
  const cgroupPath = config.cgroup
  if (cgroupPath === undefined)
    throw new SkybraidError('SB_CONFIG', 'There is no cgroup directory to observe.')
  const node = config.node ?? hostname()
  const bootId = randomBootId()
  const startedUnixMs = clock.nowMs()
  const spool = createSpool(config.spool)
  let capture: Capture | undefined
  let received = 0
  let brokenFlushes = 0
  let lastFlushUnixMs = 0
  let snapshot = noCounters
  let nextLossLogMs = 0
  let publisher: Publisher | undefined
  let closing: Promise<void> | undefined

  const early: ArrayBuffer[] = []

  function onFlush(flush: ArrayBuffer): void {
    if (publisher === undefined || capture === undefined) {
      early.push(flush)
      return
    }
    snapshot = capture.counters()
    lastFlushUnixMs = clock.nowMs()
    const lost = acceptFlush(flush)
    publisher.pump()
    if (lost > 0 && lastFlushUnixMs >= nextLossLogMs) {
      nextLossLogMs = lastFlushUnixMs + lossLogIntervalMs
      log.warn(
        { node, lostRecords: spool.counts.lostRecords },
        'the spool is full: the oldest records are given up',
      )
    }
  }

  function acceptFlush(flush: ArrayBuffer): number {
    let lost = 0
    try {
      readFrames(flush, frame => {
        received += frame.recordCount
        lost += spool.add(frame)
      })
    } catch (err) {
      brokenFlushes++
      log.error({ node, err }, 'a flush could not be read')
    }
    return lost
  }

  capture = attach(source, { ...captureOptions(config, cgroupPath, options.objectDir), onFlush })
  const opened = capture
  const counters = (): CollectorCounters => collectorCounters(snapshot, received, spool, publisher!)
  const identity = {
    node,
    bootId,
    cluster: config.cluster,
    flushIntervalMs: config.flush,
    capabilities: opened.capabilities,
  }
  publisher = createPublisher({
    bus,
    spool,
    clock,
    seal: createSealer(identity, counters, () => clock.nowMs()),
    onTrouble: err => log.warn({ node, err }, 'the bus does not take batches; they wait in the spool'),
    onRecovered: () => log.info({ node }, 'the bus takes batches again'),
  })
  const running = publisher
  for (const flush of early.splice(0)) onFlush(flush)

  async function shut(): Promise<void> {
    opened.close()
    snapshot = opened.counters()
    running.pump()
    const complete = await running.drained(drainMs)
    running.stop()
    if (!complete)
      log.warn({ node, leftRecords: counters().queued }, 'records were left when the collector closed')
  }

  return {
    node,
    bootId,
    hooks: opened.hooks,
    capabilities: opened.capabilities,
    status() {
      snapshot = opened.counters()
      const totals = counters()
      return {
        node,
        cluster: config.cluster,
        bootId,
        startedUnixMs,
        lastFlushUnixMs,
        capabilities: opened.capabilities,
        hooks: opened.hooks,
        ring: ringIdentity(snapshot),
        records: recordsIdentity(totals),
        spool: {
          batches: spool.counts.waitingBatches,
          bytes: spool.counts.waitingBytes,
          capacityBytes: config.spool,
        },
        publish: {
          batches: running.counts.publishedBatches,
          unacknowledged: running.counts.sealedBatches,
          rejections: running.counts.rejections,
        },
        flows: {
          sockets: snapshot.sockets,
          openFlows: snapshot.openFlows,
          adopted: snapshot.adopted,
          keyUnsettled: snapshot.keyUnsettled,
          dnsMalformed: snapshot.dnsMalformed,
        },
        brokenFlushes,
      }
    },
    close() {
      closing ??= shut()
      return closing
    },
  }
}

function captureOptions(
  config: CollectorConfig,
  cgroupPath: string,
  objectDir: string | undefined,
): Omit<OpenCaptureOptions, 'onFlush'> {
  return {
    cgroupPath,
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

function ringIdentity(counters: CaptureCounters): CollectorStatus['ring'] {
  const { ringConsumed: consumed, ringFull: full } = counters
  const waiting = counters.ringProduced - consumed
  return { produced: counters.ringProduced + full, consumed, full, waiting, holds: waiting >= 0 }
}

function recordsIdentity(counters: CollectorCounters): CollectorStatus['records'] {
  const { published, queued, recordsEncoded: encoded, recordsMerged: merged } = counters
  const { recordsSampledOut: sampledOut, lost } = counters
  const accounted = published + merged + sampledOut + queued + lost.spool_full
  return { encoded, published, merged, sampledOut, queued, lost, holds: encoded === accounted }
}

function randomBootId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}
