import type { EndName } from './end-name.ts'
import { amountCount, type PodPair, type Role } from './pod-pair.ts'

/** Pairs as few bytes: what waits for an OAP that is away has to be small. */
export interface PackedPairs {
  readonly count: number
  readonly ends: readonly EndName[]
  readonly bytes: Uint8Array
}

export const noPairs: PackedPairs = { count: 0, ends: [], bytes: new Uint8Array(0) }

const bytesPerNumber = 8

/** Packs pairs one after the other. Local and remote are numbers of the ends that `finish` is given. */
export class PairPacker {
  #bytes = new Uint8Array(65_536)
  #length = 0
  #count = 0

  /** The pair's amounts begin at `first`. */
  add(role: Role, local: number, remote: number, amounts: Float64Array, first: number): void {
    this.#reserve((amountCount + 2) * bytesPerNumber)
    this.#put(local * 2 + role)
    this.#put(remote)
    for (let i = first; i < first + amountCount; i++) this.#put(amounts[i])
    this.#count++
  }

  /** What was added; the packer is empty afterwards. */
  finish(ends: readonly EndName[]): PackedPairs {
    const packed = { count: this.#count, ends, bytes: this.#bytes.slice(0, this.#length) }
    this.#length = 0
    this.#count = 0
    return packed
  }

  #put(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(this.#bytes.length * 2)
    larger.set(this.#bytes)
    this.#bytes = larger
  }
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
