import { headers } from '@nats-io/transport-node'
import { encodeFlowBatch } from '../../../packages/shared/src/index.ts'
import { compressFlowPayload, flowHeaders, flowSubject } from '../../../packages/shared/src/nats/index.ts'
import { linkWith } from '../../nats/bus-link.ts'
import { LiveConnections } from '../live-connections.ts'

/*
 * Two nodes that publish RECORDS a second of CONNECTIONS live connections, each read every ten seconds or so, over four
 * partitions to the stream, until the parent goes: bus-load.ts URL CLUSTER RECORDS CONNECTIONS. Answers every message of
 * its parent with a `LoadReport`; told 'stop' it publishes nothing new and answers when all is acknowledged.
 */

export interface LoadReport {
  readonly published: number
  readonly acknowledged: number
  /** The most that it was behind its rate, records. */
  readonly behind: number
}

const partitions = 4
const recordsPerBatch = 340
const shortPerBatch = 2
const mostUnderWay = 256
/** So few that a closed minute is small: what is kept of minutes grows for as long as they are kept. */
const programs = 12
const [url, cluster, rateText, connectionsText] = process.argv.slice(2) as [string, string, string, string]
const rate = Number(rateText)
const link = await linkWith(['--nats', url])
const worlds = Array.from({ length: partitions }, (_, partition) => {
  const world = new LiveConnections(Number(connectionsText) / partitions, Date.now(), false, programs)
  world.columns.header.partition = partition
  return { world, partition, opened: 0, at: 0, round: 1, short: 0 }
})
type Share = (typeof worlds)[number]

let [published, acknowledged, behind, underWay] = [0, 0, 0, 0]
let isStopped = false
let failure: unknown

/** Fills the columns with the next batch of a node; first every connection opens, then they are read in turn. */
function fill(share: Share, node: number): void {
  const { world } = share
  const nowMs = Date.now()
  if (share.opened < world.count) {
    const count = Math.min(recordsPerBatch, world.count - share.opened)
    world.begin(node, count, nowMs)
    for (let i = 0; i < count; i++) world.reading(i, share.opened + i, node, nowMs, 0)
    if (node === 1) share.opened += count
    return
  }
  const readings = Math.min(recordsPerBatch, world.count - share.at)
  world.batch(node, share.at, readings, { first: share.short, count: shortPerBatch }, nowMs, share.round)
  if (node === 0) return
  share.short += shortPerBatch
  share.at += readings
  if (share.at < world.count) return
  share.at = 0
  share.round++
}

function publish({ world, partition }: Share): void {
  const { header } = world.columns
  const list = headers()
  for (const [name, value] of flowHeaders({ ...header, encoding: 'zstd' })) list.append(name, value)
  const payload = compressFlowPayload(encodeFlowBatch(world.columns))
  const { recordCount } = header
  published += recordCount
  underWay++
  link.js
    .publish(flowSubject(cluster, partition, header.node), payload, { headers: list, timeout: 60_000 })
    .then(
      () => {
        acknowledged += recordCount
      },
      (error: unknown) => {
        failure ??= error
      },
    )
    .finally(() => underWay--)
}

const begunMs = performance.now()
let turn = 0
function beat(): void {
  if (failure !== undefined) throw failure
  if (isStopped) return
  const due = ((performance.now() - begunMs) * rate) / 1_000
  behind = Math.max(behind, due - published)
  while (published < due && underWay < mostUnderWay) {
    const share = worlds[(turn >> 1) % partitions]!
    fill(share, turn & 1)
    publish(share)
    turn++
  }
  setTimeout(beat, 5)
}

process.on('message', async (order: string) => {
  if (order === 'stop') {
    isStopped = true
    while (underWay > 0) await new Promise(resolve => setTimeout(resolve, 20))
  }
  process.send?.({ published, acknowledged, behind: Math.round(behind) } satisfies LoadReport)
  behind = 0
})
process.on('disconnect', () => process.exit())
beat()
