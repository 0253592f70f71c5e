import type { EndName } from './end-name.ts'
import { amountCount, type PodPair, type Role } from './pod-pair.ts'

/** Pairs as few bytes: what waits for an OAP that is away has to be small. */
export interface PackedPairs {
  readonly count: number
  readonly ends: readonly EndName[]
  readonly bytes: Uint8Array
}

export function packPairs(pairs: readonly PodPair[]): PackedPairs {
  const ends: EndName[] = []
  const numbers = new Map<EndName, number>()
  const numberOf = (end: EndName) => {
    const known = numbers.get(end)
    if (known !== undefined) return known
    numbers.set(end, ends.length)
    return ends.push(end) - 1
  }
  const writer = { bytes: new Uint8Array(1_024), length: 0 }
  for (const { role, local, remote, amounts } of pairs) {
    put(writer, numberOf(local) * 2 + role)
    put(writer, numberOf(remote))
    for (let i = 0; i < amountCount; i++) put(writer, amounts[i])
  }
  return { count: pairs.length, ends, bytes: writer.bytes.slice(0, writer.length) }
}

/** The pairs again; `amounts` is one array that the next pair overwrites. */
export function* unpackPairs({ count, ends, bytes }: PackedPairs): Generator<PodPair> {
  const amounts = new Float64Array(amountCount)
  const reader = { bytes, at: 0 }
  for (let pair = 0; pair < count; pair++) {
    const localAndRole = take(reader)
    const remote = ends[take(reader)]
    for (let i = 0; i < amountCount; i++) amounts[i] = take(reader)
    yield { role: (localAndRole & 1) as Role, local: ends[localAndRole >>> 1], remote, amounts }
  }
}

function put(writer: { bytes: Uint8Array; length: number }, value: number): void {
  if (writer.length + 8 > writer.bytes.length) {
    const larger = new Uint8Array(writer.bytes.length * 2)
    larger.set(writer.bytes)
    writer.bytes = larger
  }
  let rest = value
  while (rest >= 128) {
    writer.bytes[writer.length++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  writer.bytes[writer.length++] = rest
}

function take(reader: { bytes: Uint8Array; at: number }): number {
  let value = 0
  let scale = 1
  for (;;) {
    const byte = reader.bytes[reader.at++]
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 128
  }
}
