import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { TopologyAnswer, TopologyQuery, TopologyReader } from '../topology/answer.ts'

/**
 * Answers that were computed already, by everything that could change them. The version is cheap to ask for, so a
 * repeated question costs no topology; what is kept is bounded by count and by bytes.
 */
export interface AnswerCache {
  /** A short text that changes whenever the answer to this query could change. */
  version(query: TopologyQuery, nowMs: number): string
  answer(query: TopologyQuery, version: string, nowMs: number): TopologyAnswer
  /** The body kept under this version and representation, or what `build` makes. */
  body(version: string, representation: string, build: () => string): string
}

const schemaVersion = '1.0'
const maxAnswers = 8
const maxBodyBytes = 32 * 1024 * 1024

export function createAnswerCache(reader: TopologyReader): AnswerCache {
  const answers = new LRUCache<string, TopologyAnswer>({ max: maxAnswers })
  const bodies = new LRUCache<string, string>({
    max: 64,
    maxSize: maxBodyBytes,
    sizeCalculation: body => body.length + 1,
  })
  return {
    version(query, nowMs) {
      const hash = createHash('sha256')
      const completeness = reader.completeness(query.fromMs, query.toMs, nowMs)
      const closed = reader.closedMinute() * 60_000 >= query.toMs - 60_000
      const generation = reader.generation(query.fromMs, query.toMs)
      hash.update(JSON.stringify([schemaVersion, generation, closed, completeness, canonical(query)]))
      return hash.digest('base64url').slice(0, 27)
    },
    answer(query, version, nowMs) {
      let answer = answers.get(version)
      if (answer === undefined) {
        answer = reader.topology(query, nowMs)
        answers.set(version, answer)
      }
      return answer
    },
    body(version, representation, build) {
      const key = `${version} ${representation}`
      let body = bodies.get(key)
      if (body === undefined) {
        body = build()
        bodies.set(key, body)
      }
      return body
    },
  }
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
    query.limit,
  ]
}
