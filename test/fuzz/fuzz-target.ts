import { createPartitionedCore } from '../../packages/aggregator/src/core.ts'
import type { IngestFigures } from '../../packages/aggregator/src/ingest/ingest-status.ts'
import { openNativeJoin } from '../../packages/aggregator/src/native/open-native-join.ts'
import type { PartitionRound } from '../../packages/aggregator/src/partition/partition-core.ts'
import { encodeRound } from '../../packages/aggregator/src/partition/round-bytes.ts'
import { createRoundLog } from '../../packages/aggregator/src/partition/round-log.ts'
import { decodeRoundState } from '../../packages/aggregator/src/partition/round-state-decode.ts'
import { createFlowColumns, decodeFlowBatch } from '../../packages/shared/src/index.ts'
import {
  decodeFlowPayload,
  type FlowEncoding,
  type FlowMessageHead,
  flowHead,
  flowSubject,
  parseFlowSubject,
} from '../../packages/shared/src/nats/index.ts'

/** One message as a hostile publisher could send it under its own subject. */
export interface Payload {
  readonly encoding: FlowEncoding
  readonly data: Uint8Array
  readonly headers: ReadonlyMap<string, string>
  readonly subject: string
}

export interface FuzzTarget {
  /** What became of the message, as a word that messages with the same fate share. Throws if a rule was broken. */
  take(payload: Payload): string
  /** Rounds that were appended, and read back, so far. */
  rounds(): number
}

/** All seeds are of this minute, and the clock of a target begins in it. */
export const seedMinuteMs = Date.UTC(2026, 10, 27, 2, 14)
export const subjectNode = 'n_1'
const stepMs = 5
/** As an aggregator bounds what it unpacks; the decoder refuses less. */
const largestBatchBytes = 1 << 20

/**
 * Subject, headers, payload, decoder, ingest, join and minutes of one partition, as an aggregator has them, under rules that hold for any
 * message: nothing is thrown; what is received is applied, a duplicate, or lost at a named place; a message that is
 * refused costs exactly one place; and what is appended of it can be read by others, and gone on from.
 */
export function createFuzzTarget(): FuzzTarget {
  const startMs = seedMinuteMs
  const openNative = openNativeJoin()
  const limits = { startMs, joinCapacity: 8_192, maxEdges: 1_000, retentionMs: 600_000, openNative }
  const core = createPartitionedCore(limits)
  const follower = createPartitionedCore({ ...limits, joinCapacity: 64 })
  const rounds = createRoundLog(0)
  const partition = core.open(0, { startMs, onRound: append })
  const columns = createFlowColumns()
  let nowMs = startMs
  let sequence = 0

  function append(round: PartitionRound): void {
    const news = encodeRound(0, 'fuzz', round).map(bytes => rounds.take(bytes))
    const last = news.at(-1)!
    if (last.kind !== 'round') throw new Error(`a round was read as ${last.kind}`)
    if (!decodeRoundState(last.round.state)) throw new Error('the state of a round cannot be read')
    for (const bytes of last.round.segments) {
      const loaded = follower.topology.follow(bytes, 0)
      if (!loaded.ok) throw new Error(`a segment is refused as ${loaded.reason}`)
    }
    partition.commit(round)
  }

  function ingest(data: Uint8Array): string {
    const decoded = decodeFlowBatch(data, columns)
    if (!decoded.ok && columns.count !== 0) throw new Error('a refused batch has records')
    const before = partition.figures()
    partition.accept({ node: subjectNode, partition: 0, data }, { sequence: ++sequence, unixMs: nowMs })
    const after = partition.figures()
    const places = placesOfLoss(before, after)
    assertAddsUp(after)
    if (!decoded.ok && (places.length !== 1 || places[0] !== 'malformed'))
      throw new Error(`refused as ${decoded.reason}, and counted as ${places.join(' and ') || 'nothing'}`)
    if (!decoded.ok) return decoded.reason
    const { rowCount, bucketCount } = columns.l7
    const said = `${scale(rowCount)} ${scale(bucketCount)} ${scale(columns.header.operations.length)}`
    return `${scale(columns.count)} ${columns.wideCount > 0} ${said} ${scale(columns.header.owners.length)} ${grew(before, after)} ${places}`
  }

  return {
    take({ data, headers, subject }) {
      nowMs += stepMs
      const head = headOf(headers, subject)
      if (head === undefined) return 'no head'
      const batch = decodeFlowPayload(data, head.encoding, largestBatchBytes)
      if (batch !== undefined && batch.length > largestBatchBytes) throw new Error('too much was made')
      const fate = batch === undefined ? 'no payload' : ingest(batch)
      if (sequence % 64 === 0) for (const each of [core, follower]) each.tidy(nowMs)
      return fate
    },
    rounds: () => rounds.rounds,
  }
}

/** What is said outside of the batch: nothing, or what can be relied on. */
function headOf(headers: Payload['headers'], subject: string): FlowMessageHead | undefined {
  const from = parseFlowSubject(subject)
  if (from !== undefined && flowSubject(from.cluster, from.partition, from.node) !== subject)
    throw new Error(`a subject is taken for another: ${subject}`)
  const head = flowHead(name => headers.get(name))
  if (head === undefined || from === undefined) return undefined
  const { schemaVersion, partition, sequence, recordCount, bootId, node, encoding } = head
  for (const number of [schemaVersion, partition, sequence, recordCount])
    if (!Number.isSafeInteger(number) || number < 0) throw new Error(`a header says ${number}`)
  if (bootId.length !== 16 || node === '' || (encoding !== 'raw' && encoding !== 'zstd'))
    throw new Error('a header is not what it should be')
  return head
}

function placesOfLoss(before: IngestFigures, after: IngestFigures): string[] {
  return Object.keys(after.lost).filter(place => after.lost[place]! > (before.lost[place] ?? 0))
}

function grew(before: IngestFigures, after: IngestFigures): string {
  return `${after.applied > before.applied} ${after.duplicates > before.duplicates}`
}

function assertAddsUp({ received, applied, duplicates, lost }: IngestFigures): void {
  const sum = applied + duplicates + Object.values(lost).reduce((total, each) => total + each, 0)
  if (received !== sum) throw new Error(`received ${received}, accounted for ${sum}`)
}

/** Numbers of the same size are alike. */
function scale(count: number): number {
  return 32 - Math.clz32(count)
}
