import { describe, expect, it } from 'vitest'
import { createRoundLog } from '../../packages/aggregator/src/partition/round-log.ts'
import type { RoundState } from '../../packages/aggregator/src/partition/round-state.ts'
import { decodeRoundState } from '../../packages/aggregator/src/partition/round-state-decode.ts'
import type { IngestStatus, NodeStatus } from '../../packages/aggregator/src/topology/answer.ts'
import {
  ensureStreams,
  flowStream,
  type NatsLink,
  rollupStream,
  rollupSubject,
} from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { type AggregatorProgram, startAggregatorProgram } from './aggregator-program.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { type InventedCollectors, inventCollectors } from './invented-collectors.ts'
import { streamContent } from './stream-content.ts'
import { streamSettings } from './stream-settings.ts'

const cluster = 'local'
const partitions = 4
const nodes = ['north', 'south', 'west']
const minuteMs = 60_000

interface Expected {
  readonly received: number
  readonly missing: number
}

/** What the last whole round of a partition knows. */
async function lastRound(link: NatsLink, partition: number): Promise<RoundState> {
  const { state } = await link.jsm.streams.info(rollupStream(cluster))
  const log = createRoundLog(partition)
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const message = await link.jsm.streams.getMessage(rollupStream(cluster), { seq })
    if (message?.subject === rollupSubject(cluster, partition)) log.take(new Uint8Array(message.data))
  }
  const round = log.latest && decodeRoundState(log.latest.state)
  if (!round) throw new Error(`partition ${partition} has no round`)
  return round
}

const lastRounds = (link: NatsLink) =>
  Promise.all(Array.from({ length: partitions }, (_, p) => lastRound(link, p)))

/** Of each node: what rounds knew, what the stream still holds behind them, and as missing all else it published. */
async function expectedOf(
  link: NatsLink,
  collectors: InventedCollectors,
  rounds: readonly RoundState[],
): Promise<Record<string, Expected>> {
  const { batches } = await streamContent(link, cluster)
  const sums = nodes.map(node => {
    let received = 0
    for (const [partition, { ingest }] of rounds.entries()) {
      const boot = ingest.nodes.find(({ name }) => name === node)?.boots[0]
      const highest = boot?.logs.find(log => log.partition === partition)?.highest ?? 0
      received += boot?.records ?? 0
      for (const { header } of batches)
        if (header.node === node && header.partition === partition && header.sequence > highest)
          received += header.recordCount
    }
    return [node, { received, missing: collectors.publishedBy(node) - received }] as const
  })
  return Object.fromEntries(sums)
}

async function nodesOf(program: AggregatorProgram): Promise<readonly NodeStatus[]> {
  const { ingest } = await program.get<{ ingest: IngestStatus }>('/status')
  expect(ingest.identity).toMatchObject({ duplicates: 0, holds: true })
  return ingest.nodes
}

/** Waits until everything is read that is there, and compares what status, metrics and answers say is missing. */
async function compare(program: AggregatorProgram, want: Record<string, Expected>, fromMs: number) {
  await program.ready()
  const figures = async () =>
    Object.fromEntries(
      (await nodesOf(program)).map(({ node, identity: { records } }) => [
        node,
        { received: records.received, missing: records.lost.sequence_gap ?? 0 },
      ]),
    )
  await until(
    'everything that is there is read',
    async () =>
      Object.entries(await figures()).every(([node, { received }]) => received >= want[node]!.received),
    { timeoutMs: 240_000, describe: async () => JSON.stringify([await figures(), want]) },
  )
  expect(await figures()).toEqual(want)
  for (const { identity } of await nodesOf(program)) expect(identity.records.holds).toBe(true)
  const metrics = await program.text('/metrics')
  let total = 0
  for (const [node, { missing }] of Object.entries(want)) {
    total += missing
    const line = `skybraid_collector_lost_records_total{node="${node}",place="sequence_gap"} ${missing}\n`
    if (missing > 0) expect(metrics).toContain(line)
  }
  const toMs = (Math.floor(Date.now() / minuteMs) + 1) * minuteMs
  const { completeness } = await program.topology(fromMs, toMs)
  expect(completeness.lost).toEqual(total > 0 ? { sequence_gap: total } : {})
  expect(completeness.lostRecords).toBe(total)
  return total
}

const replacements = async (program: AggregatorProgram) =>
  (await program.bus()).partitions.map(each => each.replacements)
const trims = async (program: AggregatorProgram) => (await program.bus()).partitions.map(each => each.trims)

describe('a stream of batches that reaches back too little', { timeout: 1_200_000 }, () => {
  it('is gone on with from where it is, and what is missing is counted to the record', async () => {
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url]))
    await ensureStreams(link.jsm, cluster, streamSettings('--flow-max-bytes', '1MiB'))
    const fromMs = (Math.floor(Date.now() / minuteMs) - 1) * minuteMs
    const collectors = inventCollectors(link, cluster, partitions)
    afterTest(() => collectors.stop())
    const start = () => startAggregatorProgram(server.url, '--flow-max-bytes', '1MiB')
    let program = await start()
    await program.everyPartition('each partition has a round', ({ rounds }) => rounds > 0, 180_000)
    expect(await trims(program)).toEqual([0, 0, 0, 0])
    await program.kill('SIGKILL')
    const flow = async () => (await link.jsm.streams.info(flowStream(cluster))).state
    const { last_seq: known } = await flow()
    await until('the limit took what was not read', async () => (await flow()).first_seq > known + 1, {
      timeoutMs: 120_000,
      everyMs: 250,
    })
    await collectors.stop()

    // the byte limit took the oldest; started twice, so that nothing can be counted twice
    const want = await expectedOf(link, collectors, await lastRounds(link))
    for (const node of nodes) expect(want[node]!.missing).toBeGreaterThan(0)
    for (let round = 1; round <= 2; round++) {
      program = await start()
      await compare(program, want, fromMs)
      // a minute may have closed meanwhile: its round knows the rest
      if (round === 1) expect(await trims(program)).toEqual([1, 1, 1, 1])
      await program.kill('SIGKILL')
    }

    // nothing at all is left, as after an absence longer than the stream keeps anything
    await link.jsm.streams.purge(flowStream(cluster))
    program = await start()
    await program.ready()
    const rounds = await lastRounds(link)
    await collectors.flush()
    const rest = await expectedOf(link, collectors, rounds)
    for (const node of nodes) expect(rest[node]!.received).toBeGreaterThan(0)
    await compare(program, rest, fromMs)
    await program.kill('SIGKILL')

    // deleted and made anew while nobody was there: the new one's numbers begin below those that rounds know
    const remake = async () => {
      await link.jsm.streams.delete(flowStream(cluster))
      await ensureStreams(link.jsm, cluster, streamSettings('--flow-max-bytes', '1MiB'))
    }
    await remake()
    await collectors.flush()
    const anew = await expectedOf(link, collectors, await lastRounds(link))
    program = await start()
    await compare(program, anew, fromMs)
    expect(await replacements(program)).toEqual([1, 1, 1, 1])

    // and while it is read: what was read from the former one stays, what comes in the next is added
    await remake()
    const before = Object.fromEntries(nodes.map(node => [node, collectors.publishedBy(node)]))
    await collectors.flush()
    const more = nodes.map(node => {
      const { received, missing } = anew[node]!
      return [node, { received: received + collectors.publishedBy(node) - before[node]!, missing }] as const
    })
    await compare(program, Object.fromEntries(more), fromMs)
    expect(await replacements(program)).toEqual([2, 2, 2, 2])
    expect(await program.kill('SIGTERM')).toBe(0)
  })
})
