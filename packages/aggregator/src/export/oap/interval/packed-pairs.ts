import type { EndName } from './end-name.ts'
import { NumberPacker, takeNumber } from './packed-numbers.ts'
import { amountCount, type PodPair, type Role } from './pod-pair.ts'

/** Pairs as few bytes: what waits for an OAP that is away has to be small. */
export interface PackedPairs {
  readonly count: number
  readonly ends: readonly EndName[]
  readonly bytes: Uint8Array
}

export const noPairs: PackedPairs = { count: 0, ends: [], bytes: new Uint8Array(0) }

/** Packs pairs one after the other. Local and remote are numbers of the ends that `finish` is given. */
export class PairPacker {
  readonly #out = new NumberPacker()
  #count = 0

  /** The pair's amounts begin at `first`. */
  add(role: Role, local: number, remote: number, amounts: Float64Array, first: number): void {
    this.#out.put(local * 2 + role)
    this.#out.put(remote)
    for (let i = first; i < first + amountCount; i++) this.#out.put(amounts[i])
    this.#count++
  }

  /** What was added; the packer is empty afterwards. */
  finish(ends: readonly EndName[]): PackedPairs {
    const packed = { count: this.#count, ends, bytes: this.#out.finish() }
    this.#count = 0
    return packed
  }
}

/** The pairs again; `amounts` is one array that the next pair overwrites. */
export function* unpackPairs({ count, ends, bytes }: PackedPairs): Generator<PodPair> {
  const amounts = new Float64Array(amountCount)
  const reader = { bytes, at: 0 }
  for (let pair = 0; pair < count; pair++) {
    const localAndRole = takeNumber(reader)
    const remote = ends[takeNumber(reader)]
    for (let i = 0; i < amountCount; i++) amounts[i] = takeNumber(reader)
    yield { role: (localAndRole & 1) as Role, local: ends[localAndRole >>> 1], remote, amounts }
  }
}
