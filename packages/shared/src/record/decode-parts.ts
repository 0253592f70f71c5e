import { createByteInterner } from './byte-interner.ts'
import type { DnsName, Operation, Owner } from './columns.ts'
import { Kind } from './kind.ts'
import { batchLimits } from './limits.ts'
import { ProtoReader, WireType } from './proto-reader.ts'

// Not fatal: a process may give itself a name that isn't UTF-8, and that must not cost the whole batch.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const part = new ProtoReader()

function decodeText(bytes: Uint8Array, start: number, end: number): string {
  return start === end ? '' : utf8.decode(bytes.subarray(start, end))
}

/** Texts that come with every batch of a node, such as its name. */
export const texts = createByteInterner(512, batchLimits.textBytes, decodeText)

/** Owners by their encoded bytes: equal bytes give the same object while it is remembered. */
export const owners = createByteInterner(4_096, 1_024, decodeOwner)

const ownerTexts = ['', 'cgroup', 'podUid', 'containerId', 'unit', 'process'] as const

function decodeOwner(bytes: Uint8Array, start: number, end: number): Owner | undefined {
  const owner = { cgroup: '', podUid: '', containerId: '', unit: '', process: '', pid: 0 }
  part.reset(bytes, start, end)
  while (part.position < part.end) {
    const tag = part.varint()
    const field = Math.floor(tag / 8)
    if (field >= 1 && field <= 5 && tag % 8 === WireType.bytes) {
      const text = readText(batchLimits.textBytes)
      owner[ownerTexts[field] as 'cgroup'] = text
    } else if (tag === ((6 << 3) | WireType.varint)) {
      owner.pid = part.varint()
      if (owner.pid > 0xffff_ffff) part.fail('bad_value')
    } else part.skip(field === 0 ? -1 : tag % 8)
  }
  return part.problem === undefined ? owner : undefined
}

export function decodeDnsName(bytes: Uint8Array, start: number, end: number): DnsName | undefined {
  let address: Uint8Array | undefined
  let name = ''
  let ttlSeconds = 0
  let seenUnixMs = 0
  part.reset(bytes, start, end)
  while (part.position < part.end) {
    const tag = part.varint()
    if (tag === ((1 << 3) | WireType.bytes)) address = readAddress()
    else if (tag === ((2 << 3) | WireType.bytes)) name = readText(batchLimits.dnsNameBytes)
    else if (tag === ((3 << 3) | WireType.varint)) ttlSeconds = part.varint()
    else if (tag === ((4 << 3) | WireType.fixed64)) seenUnixMs = part.fixed64()
    else part.skip(tag < 8 ? -1 : tag % 8)
  }
  const sane = name !== '' && ttlSeconds <= 0xffff_ffff && isSaneTime(seenUnixMs)
  if (part.problem !== undefined || address === undefined || !sane) return undefined
  return { address, name, ttlSeconds, seenUnixMs }
}

/** A message of two numbers, the first of them below 256: losses, and what is told by cause or by protocol. */
export function decodeNumberPair(
  bytes: Uint8Array,
  start: number,
  end: number,
): { readonly first: number; readonly second: number } | undefined {
  let first = 0
  let second = 0
  part.reset(bytes, start, end)
  while (part.position < part.end) {
    const tag = part.varint()
    if (tag === 1 << 3) first = part.varint()
    else if (tag === 2 << 3) second = part.varint()
    else part.skip(tag < 8 ? -1 : tag % 8)
  }
  if (part.problem !== undefined || first > 255 || second > batchLimits.counted) return undefined
  return { first, second }
}

/** Operations by their encoded bytes: equal bytes give the same object while it is remembered. */
export const operations = createByteInterner(4_096, 600, decodeOperation)

function decodeOperation(bytes: Uint8Array, start: number, end: number): Operation | undefined {
  const operation = { protocol: 0, name: '', host: '' }
  part.reset(bytes, start, end)
  while (part.position < part.end) {
    const tag = part.varint()
    if (tag === 1 << 3) operation.protocol = part.varint()
    else if (tag === ((2 << 3) | WireType.bytes)) operation.name = readPrintable()
    else if (tag === ((3 << 3) | WireType.bytes)) operation.host = readPrintable()
    else part.skip(tag < 8 ? -1 : tag % 8)
  }
  const { protocol, name } = operation
  const isSound = part.problem === undefined && name !== '' && protocol >= 1 && protocol <= Kind.l7Mask
  return isSound ? operation : undefined
}

/** At most 256 bytes of printable ASCII; anything else should have been escaped. */
function readPrintable(): string {
  const length = part.length()
  if (length > batchLimits.operationBytes) part.fail('bad_value')
  if (part.problem !== undefined) return ''
  const start = part.position
  part.advance(length)
  for (let at = start; at < start + length; at++)
    if (part.bytes[at] < 0x20 || part.bytes[at] > 0x7e) part.fail('bad_value')
  return decodeText(part.bytes, start, start + length)
}

export function isSaneTime(unixMs: number): boolean {
  return unixMs >= batchLimits.earliestUnixMs && unixMs < batchLimits.latestUnixMs
}

function readText(maxBytes: number): string {
  const length = part.length()
  if (length > maxBytes) part.fail('bad_value')
  if (part.problem !== undefined) return ''
  const start = part.position
  part.advance(length)
  return decodeText(part.bytes, start, start + length)
}

function readAddress(): Uint8Array | undefined {
  const length = part.length()
  if (length !== 4 && length !== 16) {
    part.fail('bad_value')
    return undefined
  }
  const start = part.position
  part.advance(length)
  return part.bytes.slice(start, start + length)
}
