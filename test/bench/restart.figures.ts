import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { encodeRound } from '../../packages/aggregator/src/partition/round-bytes.ts'
import type { RoundState } from '../../packages/aggregator/src/partition/round-state.ts'
import { ensureStreams, type NatsLink, rollupSubject } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from '../nats/bus-link.ts'
import { freePort } from '../nats/free-port.ts'
import { NatsServer } from '../nats/nats-server.ts'
import { streamSettings } from '../nats/stream-settings.ts'
import type { Measurement } from './figure.ts'
import { segmentAtMinute } from './segment-at-minute.ts'
import { median, spread } from './statistics.ts'
import { minuteMs, SyntheticTraffic } from './synthetic-topology.ts'

const minutes = 60
const edges = 100_000
const services = 20_000
const starts = 3
const cluster = 'local'
const partition = 0
const name = 'restart: 60 minutes of 100,000 edges from ROLLUP, longer than a start without any'
const cpuName = 'restart: the same, processor time'

const launcher = fileURLToPath(new URL('../../scripts/skybraid.sh', import.meta.url))

/** One minute of every edge as it is appended. */
function segmentOfAll(): Uint8Array {
  const segments: Uint8Array[] = []
  const traffic = new SyntheticTraffic(services, edges, bytes => segments.push(bytes))
  const { topology, firstMinute } = traffic
  traffic.fill(firstMinute)
  for (let afterMs = 0; segments.length === 0; afterMs += 200) {
    if (afterMs > 5 * minuteMs) throw new Error('the minute does not close')
    topology.advance((firstMinute + 1) * minuteMs + 30_000 + afterMs)
  }
  return segments[0]!
}

async function appendHour(link: NatsLink, segment: Uint8Array): Promise<number> {
  const last = Math.floor(Date.now() / minuteMs) - 1
  let bytes = 0
  for (let minute = last - minutes + 1; minute <= last; minute++) {
    const appliedMs = (minute + 1) * minuteMs + 30_000
    const state: RoundState = {
      closedThrough: minute,
      appliedThrough: 0,
      appliedMs,
      openSinceMs: appliedMs,
      ingest: { received: 0, applied: 0, duplicates: 0, lost: {}, nodes: [] },
      losses: [],
      openLosses: [],
    }
    const round = { closedThrough: minute, state, bytes: [segmentAtMinute(segment, minute)] }
    for (const message of encodeRound(partition, 'bench', round as Parameters<typeof encodeRound>[2])) {
      await link.js.publish(rollupSubject(cluster, partition), message, { timeout: 60_000 })
      bytes += message.length
    }
  }
  return bytes
}

/** Until it is ready, and what it needed of the processors for that, s. */
async function start(
  natsUrl: string,
  segments: number,
): Promise<{ readonly seconds: number; readonly cpuSeconds: number }> {
  const listen = `127.0.0.1:${await freePort()}`
  const args = ['aggregator', '--nats', natsUrl, '--listen', listen, '--max-edges', '200000']
  const begun = performance.now()
  const child: ChildProcess = spawn('bash', [launcher, ...args, '--request-rate', '0'], { stdio: 'ignore' })
  const ended = new Promise(resolve => child.once('close', resolve))
  try {
    const isReady = () =>
      fetch(`http://${listen}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
    await until('the aggregator is ready', isReady, { timeoutMs: 120_000, everyMs: 10 })
    const seconds = (performance.now() - begun) / 1_000
    const status = (await (await fetch(`http://${listen}/status`)).json()) as Status
    const { closedSegments } = status.ingest
    if (closedSegments !== segments) throw new Error(`${closedSegments} of ${segments} minutes are loaded`)
    return { seconds, cpuSeconds: status.process.cpuSeconds }
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

interface Status {
  readonly ingest: { readonly closedSegments: number }
  readonly process: { readonly cpuSeconds: number }
}

async function measure() {
  const [empty, full] = [await NatsServer.start(), await NatsServer.start()]
  try {
    const link = await linkWith(['--nats', full.url])
    await ensureStreams(link.jsm, cluster, streamSettings())
    const bytes = await appendHour(link, segmentOfAll())
    await link.close()
    const more: { readonly seconds: number; readonly cpuSeconds: number }[] = []
    for (let turn = 0; turn < starts; turn++) {
      const [without, with_] = [await start(empty.url, 0), await start(full.url, minutes)]
      more.push({
        seconds: with_.seconds - without.seconds,
        cpuSeconds: with_.cpuSeconds - without.cpuSeconds,
      })
    }
    const method = `the built aggregator until /readyz, ${Math.round(bytes / 1e6)} MB of rounds of one partition in a server of its own, median of ${starts} turns`
    const figure = (figureName: string, reach: string, of: 'seconds' | 'cpuSeconds') => {
      const values = more.map(each => each[of])
      return {
        name: figureName,
        unit: 's',
        reach,
        value: median(values),
        spread: spread(values),
        method,
      }
    }
    return [figure(name, '<= 2', 'seconds'), figure(cpuName, '', 'cpuSeconds')]
  } finally {
    await empty.stop()
    await full.stop()
  }
}

export const measurements: readonly Measurement[] = [{ names: [name, cpuName], measure }]
