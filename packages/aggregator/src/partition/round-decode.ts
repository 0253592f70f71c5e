import { checksumOf } from '../topology/segment-bytes.ts'
import {
  longestOwner,
  RollupKind,
  rollupHeaderBytes,
  rollupMagic,
  rollupVersion,
  rollupWords,
  whole,
} from './round-bytes.ts'

export type RollupRefusal =
  | 'truncated'
  | 'not_a_round'
  | 'unknown_version'
  | 'checksum'
  | 'inconsistent'
  | 'other_partition'

/** One message, checked as far as it goes by itself. */
export interface RollupMessage {
  readonly kind: 'claim' | 'chunk'
  readonly partition: number
  readonly owner: string
  readonly chunk: number
  readonly chunks: number
  readonly closedThrough: number
  readonly roundBytes: number
  /** Lies in the bytes that were given. */
  readonly body: Uint8Array
}

export interface RoundParts {
  /** JSON of the state. */
  readonly state: Uint8Array
  readonly segments: readonly Uint8Array[]
}

/** Rounds of a larger size are not ours. */
const largestRoundBytes = 2 ** 29

/** Checks everything before it is used: whatever the bytes are, the answer is a sound message or a reason. */
export function decodeRollup(bytes: Uint8Array): RollupMessage | RollupRefusal {
  if (bytes.length < rollupHeaderBytes || bytes.length % 4 !== 0) return 'truncated'
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const field = (name: keyof typeof rollupWords) => view.getUint32(rollupWords[name] * 4, true)
  if (field('magic') !== rollupMagic) return 'not_a_round'
  if (field('version') !== rollupVersion) return 'unknown_version'
  if (field('checksum') !== checksumOf(bytes)) return 'checksum'
  const kind = field('kind')
  const ownerBytes = field('ownerBytes')
  const bodyAt = rollupHeaderBytes + whole(ownerBytes)
  if (ownerBytes === 0 || ownerBytes > longestOwner || bodyAt > bytes.length) return 'inconsistent'
  if (kind !== RollupKind.claim && kind !== RollupKind.chunk) return 'inconsistent'
  const message = {
    kind: kind === RollupKind.claim ? ('claim' as const) : ('chunk' as const),
    partition: field('partition'),
    owner: decoder.decode(bytes.subarray(rollupHeaderBytes, rollupHeaderBytes + ownerBytes)),
    chunk: field('chunk'),
    chunks: field('chunks'),
    closedThrough: field('closedThrough'),
    roundBytes: field('roundBytes'),
    body: bytes.subarray(bodyAt),
  }
  return message.kind === 'claim' || isSoundChunk(message) ? message : 'inconsistent'
}

function isSoundChunk({ chunk, chunks, roundBytes, body }: RollupMessage): boolean {
  return (
    chunk < chunks && roundBytes <= largestRoundBytes && body.length <= roundBytes && roundBytes % 4 === 0
  )
}

/** The parts of a whole round; undefined if its lengths contradict each other. */
export function splitRound(bytes: Uint8Array): RoundParts | undefined {
  if (bytes.length < 8) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stateBytes = view.getUint32(0, true)
  const count = view.getUint32(4, true)
  let at = 8 + whole(stateBytes)
  if (stateBytes > bytes.length || at > bytes.length || count > (bytes.length - at) / 4) return undefined
  const state = bytes.subarray(8, 8 + stateBytes)
  const segments: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    if (at + 4 > bytes.length) return undefined
    const length = view.getUint32(at, true)
    const end = at + 4 + length
    if (length % 4 !== 0 || end > bytes.length) return undefined
    segments.push(bytes.subarray(at + 4, end))
    at = end
  }
  return at === bytes.length ? { state, segments } : undefined
}

const decoder = new TextDecoder()
