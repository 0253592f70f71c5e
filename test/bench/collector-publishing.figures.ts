import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureStreams } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from '../nats/bus-link.ts'
import { freePort } from '../nats/free-port.ts'
import { NatsServer } from '../nats/nats-server.ts'
import { streamSettings } from '../nats/stream-settings.ts'
import { programFile } from './bench-program.ts'
import type { Measurement } from './figure.ts'
import { launcherFlags } from './launcher-flags.ts'
import { costOver } from './process-cost.ts'

const recordsPerSecond = 15_000
const seconds = 20
const name = (what: string) =>
  `collector publishing ${recordsPerSecond.toLocaleString('en')} records/s: ${what}`
const names = [
  'CPU',
  'anonymous memory',
  'resident memory',
  'bytes on the wire per record',
  'before compression',
].map(name)

interface Status {
  readonly records: { readonly encoded: number; readonly published: number; readonly holds: boolean }
  readonly bus: { readonly payloadBytes: number; readonly batchBytes: number; readonly connected: boolean }
}

async function start(server: NatsServer) {
  const listen = `127.0.0.1:${await freePort()}`
  const program = programFile('collector-publishing.mjs')
  const options = ['--nats', server.url, '--node', 'bench', '--status-listen', listen]
  const child = spawn(
    process.execPath,
    [...launcherFlags('collector'), program, String(recordsPerSecond), ...options],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    },
  )
  const ended = new Promise(resolve => child.once('close', resolve))
  const status = async () => (await (await fetch(`http://${listen}/status`)).json()) as Status
  await until(
    'records are published',
    async () => (await status().catch(() => undefined))?.records.published,
    {
      timeoutMs: 20_000,
    },
  )
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
    if (child.exitCode !== 0) throw new Error(`the collector ended with ${child.exitCode}`)
  }
  return { pid: child.pid!, status, stop }
}

async function measure() {
  const server = await NatsServer.start()
  const link = await linkWith(['--nats', server.url])
  try {
    await ensureStreams(link.jsm, 'local', streamSettings())
    const collector = await start(server)
    // by then it has given back what only its start needed
    await sleep(15_000)
    const { cpuPercent, most } = await costOver(collector.pid, seconds)
    const { records, bus } = await collector.status()
    if (!records.holds) throw new Error(`the records do not add up: ${JSON.stringify(records)}`)
    await collector.stop()
    const method = `the built program with a script for its kernel, batches of 375 records of 20,000 connections per partition, zstd, a server of its own, ${seconds} s`
    const figures = [
      { value: cpuPercent, unit: '% of one core', reach: '<= 3' },
      { value: most.anonymous, unit: 'MiB', reach: '<= 40' },
      { value: most.rss, unit: 'MiB', reach: '<= 80' },
      { value: bus.payloadBytes / records.published, unit: 'B', reach: '<= 60' },
      { value: bus.batchBytes / records.published, unit: 'B', reach: '<= 130' },
    ]
    return figures.map((figure, i) => ({ name: names[i]!, method, ...figure }))
  } finally {
    await link.close()
    await server.stop()
  }
}

export const measurements: readonly Measurement[] = [{ names, measure }]
