import { type L7Columns, L7Protocol, type Operation } from '@skybraid/shared'
import { createBucketSpans, firstOf, widthOf } from './bucket-spans.ts'
import type { EdgeId } from './edge-book.ts'

/** What is added up of what was said; the position is that in a row's sums. */
export const saidSums = ['count', 'requestBytes', 'responseBytes', 'firstByteUs', 'lastByteUs'] as const
export const saidSumCount = saidSums.length
/** Bits of a row's flags: those of `l7_flags`, and the end that saw it. */
export const SaidFlag = { error: 1, timeless: 2, mask: 3, server: 4 } as const
/** The status of what no response was seen to. */
export const unknownStatus = 0xffff_ffff

/** Named operations of an edge and protocol; the rest is booked as `{other}`. */
export const mostOperations = 200
/** What batches may fill of a minute: whoever makes names or codes up takes no more than this from all others. */
export const minuteLimits: SaidLimits = { operations: 65_536, rows: 524_288 }
const other = '{other}'
const keyWords = 4
const firstRows = 16
/** Numbers of protocols are below this. */
export const protocolSpan = 32

export interface SaidLimits {
  /** Texts of operations; further ones are `{other}`. */
  readonly operations: number
  /** Rows; what would need a further one is not booked. */
  readonly rows: number
}

/** One row, in whatever form it is kept. */
export interface SaidRow {
  readonly edge: EdgeId
  readonly operation: Operation
  readonly status: number
  /** Of `SaidFlag`. */
  readonly flags: number
}

/** Counts by slot, the slots in use (the last one exclusive), and how many in all. */
export interface SlotCounts {
  readonly counts: Float64Array
  low: number
  high: number
  samples: number
}

/**
 * What was said on edges in one span of time: per edge, end, operation, status and flags the sums, and the times to the
 * first byte as counts by bucket (`bucketSlot`). Whole numbers; corrections take back. Operations have numbers of their
 * own here, so that nobody has to free them.
 */
export class SaidRows {
  readonly operations: Operation[] = []
  rowCount = 0
  /** Messages booked as `{other}` because an edge had too many operations. */
  capped = 0
  /** Edge, operation, status, flags. */
  keys = new Uint32Array(firstRows * keyWords)
  sums = new Float64Array(firstRows * saidSumCount)
  #spans = new Int32Array(firstRows * 2)
  #slots = new Int32Array(firstRows * 2)
  /** By number of the operation. */
  readonly #protocols: number[] = []
  readonly #buckets = createBucketSpans()
  readonly #known = new WeakMap<Operation, number>()
  readonly #byText = new Map<string, number>()
  readonly #named = new Map<number, Set<number>>()
  readonly #most: number
  readonly #limits: SaidLimits

  constructor(most = mostOperations, limits: SaidLimits = { operations: Infinity, rows: Infinity }) {
    this.#most = most
    this.#limits = limits
  }

  /** The number of an operation here. */
  operation(operation: Operation): number {
    const known = this.#numberOf(operation)
    if (known !== undefined) return known
    if (this.operations.length >= this.#limits.operations && operation.name !== other)
      return this.operation(otherOf(operation.protocol))
    const number = this.operations.push(operation) - 1
    this.#protocols.push(operation.protocol)
    this.#byText.set(operationKey(operation), number)
    this.#known.set(operation, number)
    return number
  }

  #numberOf(operation: Operation): number | undefined {
    const known = this.#known.get(operation)
    if (known !== undefined) return known
    const number = this.#byText.get(operationKey(operation))
    if (number !== undefined) this.#known.set(operation, number)
    return number
  }

  /** The number of an operation on an edge; its text is kept only if it has a name of its own there. */
  #numberOn(edge: EdgeId, operation: Operation): number {
    const known = this.#numberOf(operation)
    if (known !== undefined) return this.#nameOf(edge, known)
    const named = this.#namedOn(edge, operation.protocol)
    if (named.size >= this.#most) return this.operation(otherOf(operation.protocol))
    return this.#nameOf(edge, this.operation(operation))
  }

  /** The number of a row, which is made if there is none. */
  row(edge: EdgeId, operation: number, status: number, flags: number): number {
    const at = this.#find(edge, operation, status, flags)
    if (this.#slots[at] !== 0) return this.#slots[at] - 1
    const named = this.#nameOf(edge, operation)
    return named === operation
      ? this.#add(at, edge, operation, status, flags)
      : this.row(edge, named, status, flags)
  }

  add(row: number, sum: number, amount: number): void {
    this.sums[row * saidSumCount + sum] += amount
  }

  addBucket(row: number, slot: number, count: number): void {
    const cell = this.#buckets.cellOf(this.#spans, row * 2, slot)
    this.#buckets.counts[cell] += count
  }

  /** Adds a row of a batch, so many times as it stands for connections. False if there is no room for it. */
  addDecoded(
    edge: EdgeId,
    operation: Operation,
    side: number,
    l7: L7Columns,
    at: number,
    bucketAt: number,
    weight: number,
  ): boolean {
    const { u32 } = l7
    const flags = (u32.l7Flags[at] & SaidFlag.mask) | (side === 0 ? 0 : SaidFlag.server)
    const named = this.#numberOn(edge, operation)
    const slot = this.#find(edge, named, u32.l7Status[at], flags)
    if (this.#slots[slot] === 0 && this.rowCount >= this.#limits.rows) return false
    const row =
      this.#slots[slot] !== 0 ? this.#slots[slot] - 1 : this.#add(slot, edge, named, u32.l7Status[at], flags)
    const first = row * saidSumCount
    if (this.operations[named].name === other && operation.name !== other)
      this.capped += u32.l7Count[at] * weight
    const { sums } = this
    sums[first] += u32.l7Count[at] * weight
    sums[first + 1] += u32.l7RequestBytes[at] * weight
    sums[first + 2] += u32.l7ResponseBytes[at] * weight
    sums[first + 3] += u32.l7FirstByteSumUs[at] * weight
    sums[first + 4] += u32.l7LastByteSumUs[at] * weight
    const end = bucketAt + u32.l7BucketCount[at]
    for (let b = bucketAt; b < end; b++)
      this.addBucket(row, (u32.l7BucketIndex[b] | 0) + 2, u32.l7BucketValue[b] * weight)
    return true
  }

  edgeOf(row: number): EdgeId {
    return this.keys[row * keyWords]
  }

  operationOf(row: number): number {
    return this.keys[row * keyWords + 1]
  }

  protocolOf(row: number): number {
    return this.#protocols[this.keys[row * keyWords + 1]]
  }

  statusOf(row: number): number {
    return this.keys[row * keyWords + 2]
  }

  flagsOf(row: number): number {
    return this.keys[row * keyWords + 3]
  }

  eachBucket(row: number, each: (slot: number, count: number) => void): void {
    const shape = this.#spans[row * 2 + 1]
    if (shape === 0) return
    const start = this.#spans[row * 2]
    const { counts } = this.#buckets
    for (let i = 0; i < 1 << widthOf(shape); i++)
      if (counts[start + i] !== 0) each(firstOf(shape) + i, counts[start + i])
  }

  /** Adds a row's buckets to counts by slot. */
  addBucketsTo(row: number, into: SlotCounts): void {
    const shape = this.#spans[row * 2 + 1]
    if (shape === 0) return
    const first = firstOf(shape)
    const last = first + (1 << widthOf(shape))
    const { counts } = this.#buckets
    let cell = this.#spans[row * 2]
    let samples = 0
    // cells without any are added too: telling them apart takes longer
    for (let slot = first; slot < last; slot++, cell++) {
      into.counts[slot] += counts[cell]
      samples += counts[cell]
    }
    into.samples += samples
    if (first < into.low) into.low = first
    if (last > into.high) into.high = last
  }

  /** The operation itself while the edge has few of its protocol, otherwise `{other}` of that. */
  #nameOf(edge: EdgeId, operation: number): number {
    const { protocol, name } = this.operations[operation]
    if (name === other) return operation
    const named = this.#namedOn(edge, protocol)
    if (named.has(operation)) return operation
    if (named.size >= this.#most) return this.operation(otherOf(protocol))
    named.add(operation)
    return operation
  }

  #namedOn(edge: EdgeId, protocol: number): Set<number> {
    const key = edge * protocolSpan + protocol
    let named = this.#named.get(key)
    if (named === undefined) {
      named = new Set()
      this.#named.set(key, named)
    }
    return named
  }

  #find(edge: EdgeId, operation: number, status: number, flags: number): number {
    const { keys } = this
    const mask = this.#slots.length - 1
    let at = hashOf(edge, operation, status, flags) & mask
    for (; this.#slots[at] !== 0; at = (at + 1) & mask) {
      const k = (this.#slots[at] - 1) * keyWords
      if (keys[k] === edge && keys[k + 1] === operation && keys[k + 2] === status && keys[k + 3] === flags)
        break
    }
    return at
  }

  #add(at: number, edge: EdgeId, operation: number, status: number, flags: number): number {
    const row = this.rowCount
    if (row * keyWords === this.keys.length) {
      this.#grow()
      at = this.#find(edge, operation, status, flags)
    }
    const k = row * keyWords
    this.keys[k] = edge
    this.keys[k + 1] = operation
    this.keys[k + 2] = status
    this.keys[k + 3] = flags
    this.#slots[at] = row + 1
    this.rowCount++
    return row
  }

  #grow(): void {
    const rows = this.rowCount
    this.keys = copied(this.keys, new Uint32Array(rows * 2 * keyWords))
    this.sums = copied(this.sums, new Float64Array(rows * 2 * saidSumCount))
    this.#spans = copied(this.#spans, new Int32Array(rows * 2 * 2))
    this.#slots = new Int32Array(rows * 2 * 2)
    for (let row = 0; row < rows; row++) {
      const at = this.#find(this.edgeOf(row), this.operationOf(row), this.statusOf(row), this.flagsOf(row))
      this.#slots[at] = row + 1
    }
  }
}

const others = new Map<number, Operation>()

/** What stands for all further operations of a protocol. */
export function otherOf(protocol: number): Operation {
  let operation = others.get(protocol)
  if (operation === undefined) {
    operation = { protocol, name: other, host: '' }
    others.set(protocol, operation)
  }
  return operation
}

/** Equal for equal operations; names are printable, so that a line break separates. */
export function operationKey({ protocol, name, host }: Operation): string {
  return `${protocol}\n${name}\n${host}`
}

const protocolNames = new Map<number, string>(
  Object.entries(L7Protocol).map(([name, number]) => [number, name]),
)

/** A protocol that is younger than this program has its number for a name. */
export function l7ProtocolName(protocol: number): string {
  return protocolNames.get(protocol) ?? `protocol${protocol}`
}

function hashOf(edge: number, operation: number, status: number, flags: number): number {
  let h = Math.imul(edge, 0x9e3779b1) ^ Math.imul(operation, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 15) ^ status, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 13) ^ flags, 0x27d4eb2f)
  return h ^ (h >>> 16)
}

function copied<A extends Uint32Array | Float64Array | Int32Array>(from: A, to: A): A {
  to.set(from)
  return to
}
