import { checksumOf } from '../topology/segment-bytes.ts'
import type { PartitionRound } from './partition-core.ts'

/**
 * What is appended for a partition: messages that each begin with the same words, little endian.
 *   magic, version, kind, checksum of the message, partition, the owner's name in bytes,
 *   chunk's index, number of chunks, the round's last minute, the round's bytes altogether
 * then the owner's name in UTF-8, filled up to whole words, then the chunk's bytes. Bytes of a round:
 *   state in bytes, segments
 * then the state as JSON and every segment after its length, each filled up to whole words.
 */
export const rollupWords = {
  magic: 0,
  version: 1,
  kind: 2,
  checksum: 3,
  partition: 4,
  ownerBytes: 5,
  chunk: 6,
  chunks: 7,
  closedThrough: 8,
  roundBytes: 9,
} as const
export const rollupHeaderBytes = 40
export const rollupMagic = 0x4c524253 // "SBRL"
export const rollupVersion = 2
export const RollupKind = { claim: 1, chunk: 2 } as const

/** Bytes of a message at most, so that it passes every server with its default limits. */
export const largestRollupMessage = 900_000
export const longestOwner = 128

/** Says that somebody goes on with a partition from here; what others append afterwards is refused. */
export function encodeClaim(partition: number, owner: string): Uint8Array {
  const fields = { kind: RollupKind.claim, chunk: 0, chunks: 0, closedThrough: 0, roundBytes: 0 }
  return message(partition, owner, fields, new Uint8Array(0))
}

/** The messages of one round, in order. */
export function encodeRound(partition: number, owner: string, round: PartitionRound): Uint8Array[] {
  const bytes = bytesOfRound(round)
  const room = largestRollupMessage - rollupHeaderBytes - longestOwner
  const chunks = Math.max(1, Math.ceil(bytes.length / room))
  return Array.from({ length: chunks }, (_, chunk) => {
    const part = bytes.subarray(chunk * room, (chunk + 1) * room)
    const { closedThrough } = round
    const fields = { kind: RollupKind.chunk, chunk, chunks, closedThrough, roundBytes: bytes.length }
    return message(partition, owner, fields, part)
  })
}

interface Fields {
  readonly kind: number
  readonly chunk: number
  readonly chunks: number
  readonly closedThrough: number
  readonly roundBytes: number
}

function message(partition: number, owner: string, fields: Fields, body: Uint8Array): Uint8Array {
  const name = encoder.encode(owner).subarray(0, longestOwner)
  const bytes = new Uint8Array(rollupHeaderBytes + whole(name.length) + whole(body.length))
  const view = new DataView(bytes.buffer)
  const all = {
    ...fields,
    magic: rollupMagic,
    version: rollupVersion,
    checksum: 0,
    partition,
    ownerBytes: name.length,
  }
  for (const [field, at] of Object.entries(rollupWords))
    view.setUint32(at * 4, all[field as keyof typeof rollupWords], true)
  bytes.set(name, rollupHeaderBytes)
  bytes.set(body, rollupHeaderBytes + whole(name.length))
  view.setUint32(rollupWords.checksum * 4, checksumOf(bytes), true)
  return bytes
}

function bytesOfRound({ state, bytes: segments }: PartitionRound): Uint8Array {
  const text = encoder.encode(JSON.stringify(state))
  let length = 8 + whole(text.length)
  for (const segment of segments) length += 4 + whole(segment.length)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, text.length, true)
  view.setUint32(4, segments.length, true)
  bytes.set(text, 8)
  let at = 8 + whole(text.length)
  for (const segment of segments) {
    view.setUint32(at, segment.length, true)
    bytes.set(segment, at + 4)
    at += 4 + whole(segment.length)
  }
  return bytes
}

/** Up to whole words. */
export function whole(bytes: number): number {
  return (bytes + 3) & ~3
}

const encoder = new TextEncoder()
