// The user-space part of a collector as it is built, fed with flushes from a file as the addon would hand them over:
// collector-load.mjs FLUSHES RECORDS_PER_SECOND SECONDS NATS_URL. Prints what it used as JSON. With NATS_URL '-' the
// flushes are only read, for what the feeding costs.
import { openSync, readFileSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const [file, perSecond, seconds, url] = process.argv.slice(2)
const dist = name => new URL(`../../../packages/${name}`, import.meta.url).href
const isFeedingAlone = url === '-'
const handle = openSync(file, 'r')
const head = new Float64Array(2)
const index = []
for (let at = 0; ; ) {
  if (readSync(handle, head, 0, 16, at) < 16) break
  index.push({ at: at + 16, bytes: head[0], records: head[1] })
  at += 16 + head[0]
}

let take = () => {}
let end = async () => ({})
let fed = 0
if (!isFeedingAlone) {
  const { startCollector } = await import(dist('collector/dist/index.js'))
  const { createJetStreamPublisher } = await import(dist('collector/dist/program.js'))
  const { connectNats } = await import(dist('shared/dist/nats/index.js'))
  const log = { info() {}, warn: console.error, error: console.error }
  const bus = createJetStreamPublisher({ cluster: 'fault', encoding: 'zstd', log })
  const config = {
    node: 'bench',
    cluster: 'fault',
    cgroup: '/',
    flush: 500,
    partitions: 4,
    ring: 1 << 20,
    udp: true,
    taskFiles: false,
    maxFlows: 131_072,
    report: 10_000,
    announce: 300_000,
    spool: 16 << 20,
    sample: 1,
  }
  const counters = {
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
    recordsMerged: 0,
    recordsSampledOut: 0,
    dnsMalformed: 0,
    stateChangesMissed: 0,
    rowsAfterClose: 0,
    rowsRegressed: 0,
  }
  const source = ({ onFlush }) => {
    take = onFlush
    return {
      hooks: [],
      capabilities: 0,
      close() {},
      setSampling() {},
      counters: () => ({ ...counters, recordsEncoded: fed }),
    }
  }
  const collector = await startCollector({ config, bus, log, source })
  const natsConfig = { nats: [url], natsInboxPrefix: '_INBOX' }
  const link = await connectNats({ config: natsConfig, name: 'bench', log })
  bus.use(link)
  end = async () => {
    const { unacknowledged } = await collector.close()
    const { batchBytes, payloadBytes, acknowledged } = bus.status()
    await link.close()
    return { unacknowledged, batchBytes, payloadBytes, acknowledged }
  }
}

/** A flush from the file, its minute and times those of now. */
function nextFlush(n) {
  const { at, bytes, records } = index[n % index.length]
  const flush = new ArrayBuffer(bytes)
  readSync(handle, new Uint8Array(flush), 0, bytes, at)
  const view = new DataView(flush)
  const nowMs = Date.now()
  for (let offset = 0; offset < bytes; ) {
    view.setFloat64(offset + 8, Math.floor(nowMs / 60_000) * 60_000, true)
    view.setFloat64(offset + 24, nowMs, true)
    offset += 32 + Math.ceil(view.getUint32(offset + 16, true) / 8) * 8
  }
  fed += records
  return flush
}

const memory = () => {
  const text = readFileSync('/proc/self/status', 'utf8')
  const mib = key => Number(new RegExp(`^${key}:\\s*(\\d+) kB`, 'm').exec(text)[1]) / 1024
  return { rss: mib('VmRSS'), anonymous: mib('RssAnon') }
}

const begun = performance.now()
let usedAt = process.cpuUsage()
let fedAt = 0
let countedFrom = begun
const largest = { rss: 0, anonymous: 0 }
for (let n = 0; performance.now() - begun < seconds * 1_000; n++) {
  take(nextFlush(n))
  const now = memory()
  largest.rss = Math.max(largest.rss, now.rss)
  largest.anonymous = Math.max(largest.anonymous, now.anonymous)
  // the first seconds compile and connect
  if (countedFrom === begun && performance.now() - begun > 4_000) {
    usedAt = process.cpuUsage()
    fedAt = fed
    countedFrom = performance.now()
  }
  await sleep(Math.max(1, begun + (fed / perSecond) * 1_000 - performance.now()))
}
const used = process.cpuUsage(usedAt)
const wallMs = performance.now() - countedFrom
const result = { records: fed - fedAt, wallMs, cpuMs: (used.user + used.system) / 1_000, ...largest }
process.stdout.write(`${JSON.stringify({ ...result, ...(await end()) })}\n`)
