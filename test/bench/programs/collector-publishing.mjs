// `skybraid collector` as it is built, with a script in the kernel's place: RECORDS new records a second of 20,000
// connections, of which each is read every ten seconds or so. Usage: collector-publishing.mjs RECORDS [COLLECTOR OPTIONS]
import { observeUntil } from '../../../packages/cli/dist/collector/observe-until.js'
import { collectorOptions } from '../../../packages/cli/dist/collector/options.js'
import { stopSignal } from '../../../packages/cli/dist/stop-signal.js'
import { noCounters } from '../../../packages/collector/dist/counters.js'
import { createFlowColumns, encodeBody, loadConfig, packKind } from '../../../packages/shared/dist/index.js'

const [recordsPerSecond, ...args] = process.argv.slice(2)
const loaded = loadConfig(collectorOptions, { args, env: {} })
if (!loaded.ok) throw new Error(loaded.errors.join(' '))
const { config } = loaded

const flushMs = config.flush
const perFrame = Math.ceil((Number(recordsPerSecond) * flushMs) / 1000 / config.partitions / 450)
const recordsPerFlush = Math.round((Number(recordsPerSecond) * flushMs) / 1000)
const connections = 20_000
const headBytes = 32

/** Numbers that don't compress well, as initial sequence numbers and addresses don't. */
function noise(n) {
  let h = Math.imul(n ^ 0x9e3779b9, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** What one flush of the addon looks like: every partition's records in frames of at most 450. */
function flushOf(round) {
  const frames = []
  const perPartition = Math.round(recordsPerFlush / config.partitions)
  for (let partition = 0; partition < config.partitions; partition++) {
    for (let part = 0; part < perFrame; part++) {
      const from = Math.round((perPartition * part) / perFrame)
      const to = Math.round((perPartition * (part + 1)) / perFrame)
      frames.push({ partition, body: bodyOf(round, partition, from, to), count: to - from })
    }
  }
  const padded = length => Math.ceil(length / 8) * 8
  const flush = new ArrayBuffer(frames.reduce((sum, { body }) => sum + headBytes + padded(body.length), 0))
  const view = new DataView(flush)
  let at = 0
  for (const { partition, body, count } of frames) {
    view.setUint32(at, partition, true)
    view.setUint32(at + 4, count, true)
    view.setUint32(at + 16, body.length, true)
    new Uint8Array(flush, at + headBytes).set(body)
    at += headBytes + padded(body.length)
  }
  return flush
}

function bodyOf(round, partition, from, to) {
  const columns = createFlowColumns()
  columns.count = to - from
  for (let process = 0; process < 20; process++)
    columns.header.owners.push({
      cgroup: `/kubepods.slice/kubepods-pod${noise(process)}.slice/cri-containerd-${noise(process + 99)}.scope`,
      podUid: `${noise(process)}-0000-0000-0000-${noise(process + 7)}`,
      containerId: `${noise(process + 99)}${noise(process + 100)}`,
      unit: '',
      process: `server-${process}`,
      pid: 1_000 + process,
    })
  for (let i = 0; i < columns.count; i++)
    fill(columns, i, (round * recordsPerFlush + from + i) % connections, partition, round)
  return encodeBody(columns)
}

function fill({ u32, u64 }, i, flow, partition, round) {
  const id = flow * config.partitions + partition
  u32.kind[i] = packKind(1, 1 + (flow % 2), 1)
  u64.flowId.set([id, 0], 2 * i)
  u32.diallerIsn[i] = noise(id)
  u32.acceptorIsn[i] = noise(id + 1e6)
  u32.networkNamespace[i] = 4_026_531_840 + (flow % 20)
  u32.localAddress[i] = 0x0a2a0000 + (flow % 20)
  u32.remoteAddress[i] = 0x0a2b0000 + (noise(id) % 500)
  u32.ports[i] = (30_000 + (noise(id) % 30_000)) * 65_536 + 8_080
  u32.owner[i] = flow % 20
  u32.atMs[i] = (round * flushMs + (i % flushMs)) % 60_000
  u32.ageMs[i] = 10_000 + (noise(id + 3) % 1_000_000)
  u32.srttUs[i] = 100 + (noise(id + round) % 3_000)
  const bytes = noise(id + round) % 20_000
  u32.bytesSent[i] = bytes
  u32.bytesReceived[i] = bytes * 3
  u32.segmentsSent[i] = 4 + (bytes % 17)
  u32.segmentsReceived[i] = 4 + (bytes % 23)
  u32.dataSegmentsSent[i] = 2 + (bytes % 17)
  u32.dataSegmentsReceived[i] = 2 + (bytes % 23)
  u64.bytesSentTotal.set([noise(id) % 1e9, 0], 2 * i)
  u64.bytesReceivedTotal.set([noise(id + 1) % 1e9, 0], 2 * i)
  u32.dataSegmentsSentTotal[i] = noise(id) % 1e6
  u32.dataSegmentsReceivedTotal[i] = noise(id + 1) % 1e6
}

// a few flushes are made in advance: making them is the addon's work, and none of what is measured here
const made = [0, 1, 2, 3].map(flushOf)

function source({ onFlush }) {
  let round = 0
  let recordsEncoded = 0
  const timer = setInterval(() => {
    const flush = made[round++ % made.length].slice(0)
    const view = new DataView(flush)
    const minute = Math.floor(Date.now() / 60_000) * 60_000
    for (let at = 0; at < flush.byteLength; ) {
      view.setFloat64(at + 8, minute, true)
      recordsEncoded += view.getUint32(at + 4, true)
      at += headBytes + Math.ceil(view.getUint32(at + 16, true) / 8) * 8
    }
    onFlush(flush)
  }, flushMs)
  return {
    hooks: [],
    capabilities: 0,
    counters: () => ({ ...noCounters, recordsEncoded }),
    setSampling() {},
    setPartitions() {},
    close: () => clearInterval(timer),
  }
}

process.exitCode = await observeUntil(
  stopSignal(),
  { ...config, node: config.node ?? 'bench', cgroup: '/' },
  { configPath: undefined, readAgain: async () => undefined },
  { env: process.env, stdout: process.stdout, stderr: process.stderr },
  Number(recordsPerSecond) > 0 ? source : undefined,
)
