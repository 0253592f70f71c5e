import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { OperationsAnswer, OperationsQuery, TopologyAnswer, TopologyQuery } from '../topology/answer.ts'
import type { ApiReader } from './api-deps.ts'

/**
 * Answers that were computed already, by everything that could change them. The version is cheap to ask for, so a
 * repeated question costs no topology; what is kept is bounded by size.
 */
export interface AnswerCache {
  /** A short text that changes whenever the answer to this query could change. */
  version(query: TopologyQuery, nowMs: number): string
  answer(query: TopologyQuery, version: string, nowMs: number): TopologyAnswer
  /** The version must tell what is asked beside the topology's query. */
  operations(query: OperationsQuery, version: string, nowMs: number): OperationsAnswer
}

const schemaVersion = '1.0'
const maxAnswers = 16
const maxEdgesKept = 60_000
const maxOperationsKept = 100_000
/** A node silent for longer may not be expected any more. */
const forgottenMs = 15 * 60_000

export function createAnswerCache(reader: ApiReader): AnswerCache {
  const answers = new LRUCache<string, TopologyAnswer>({
    max: maxAnswers,
    maxSize: maxEdgesKept,
    sizeCalculation: answer => answer.edges.length + answer.nodes.length + 1,
  })
  const operations = new LRUCache<string, OperationsAnswer>({
    max: maxAnswers,
    maxSize: maxOperationsKept,
    sizeCalculation: answer => answer.operations.length + 1,
  })
  return {
    version(query, nowMs) {
      const { fromMs, toMs } = query
      const parts = [
        schemaVersion,
        canonical(query),
        reader.generation(fromMs, toMs),
        reader.closedMinute() * 60_000 >= toMs - 60_000,
        Math.floor(nowMs / 60_000),
        reportingNow(reader, nowMs),
      ]
      return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 27)
    },
    answer(query, version, nowMs) {
      let answer = answers.get(version)
      if (answer === undefined) {
        answer = reader.topology(query, nowMs)
        answers.set(version, answer)
      }
      return answer
    },
    operations(query, version, nowMs) {
      let answer = operations.get(version)
      if (answer === undefined) {
        answer = reader.operations(query, nowMs)
        operations.set(version, answer)
      }
      return answer
    },
  }
}

/** Who reports and what was lost: the part of an answer's completeness that its generation does not cover. */
function reportingNow(reader: ApiReader, nowMs: number): unknown[] {
  const { nodes, identity } = reader.ingestStatus(nowMs)
  const marks = nodes.map(({ reporting, lastSeen, identity: own }) => {
    const forgotten = nowMs - Date.parse(lastSeen) > forgottenMs
    return [reporting, forgotten, own.records.lost]
  })
  return [marks, identity.lost]
}

function canonical(query: TopologyQuery): unknown[] {
  return [
    query.fromMs,
    query.toMs,
    query.groupBy,
    query.focus ?? null,
    query.depth ?? null,
    query.protocol ?? null,
    query.minBytes ?? null,
    query.ends ?? null,
    query.scope ?? null,
    query.limit,
    query.detail ?? false,
  ]
}
