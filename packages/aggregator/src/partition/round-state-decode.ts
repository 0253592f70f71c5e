import { lossPlaceCount } from '../topology/open-minute.ts'
import type { RoundState } from './round-state.ts'

/** The state of a round from its bytes; undefined unless every part of it is what it should be. */
export function decodeRoundState(bytes: Uint8Array): RoundState | undefined {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(bytes))
  } catch {
    return undefined
  }
  return isState(value) ? (value as RoundState) : undefined
}

type Check = (value: unknown) => boolean

// sums of what senders claim may be larger than what is exact; a state with such a sum is as good as any
const whole: Check = value => Number.isInteger(value)
const count: Check = value => Number.isInteger(value) && (value as number) >= 0
const time: Check = value => typeof value === 'number' && Number.isFinite(value)
/** A name of 1,024 bytes may be six times as long in JSON, which is how `whose` holds it. */
const text: Check = value => typeof value === 'string' && value.length <= 8192
const yesOrNo: Check = value => typeof value === 'boolean'
const list =
  (of: Check, most: number): Check =>
  value =>
    Array.isArray(value) && value.length <= most && value.every(of)
const pair: Check = value => Array.isArray(value) && value.length === 2 && value.every(whole)
const fields =
  (of: Readonly<Record<string, Check>>): Check =>
  value =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(of).every(([name, check]) => check((value as Record<string, unknown>)[name]))
const countsByName: Check = value =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(count)

const gap = fields({
  from: count,
  to: count,
  fromRecord: count,
  toRecord: count,
  sinceMs: time,
  settled: yesOrNo,
})
const sequenceLog = fields({
  partition: count,
  stopped: yesOrNo,
  highest: count,
  records: count,
  missingRecords: count,
  gaps: list(gap, 4096),
})
const boot = fields({
  bootId: text,
  firstSentMs: time,
  encoded: count,
  merged: count,
  sampledOut: count,
  ringProduced: count,
  ringConsumed: count,
  lost: list(pair, 64),
  capabilities: count,
  batches: count,
  records: count,
  duplicates: count,
  logs: list(sequenceLog, 64),
})
const node = fields({ name: text, lastSeenMs: time, uncleanRestart: yesOrNo, boots: list(boot, 16) })
const isState = fields({
  closedThrough: count,
  appliedThrough: count,
  stream: value => value === undefined || text(value),
  appliedMs: time,
  openSinceMs: time,
  ingest: fields({
    received: count,
    applied: count,
    duplicates: count,
    lost: countsByName,
    nodes: list(node, 65_536),
  }),
  losses: list(fields({ whose: text, place: text, total: count, minutes: list(pair, 4096) }), 1 << 20),
  openLosses: list(fields({ minute: count, losses: list(whole, lossPlaceCount) }), 4096),
})

const decoder = new TextDecoder()
