import { bucketSlots, L7Protocol } from '@skybraid/shared'
import type { Percentiles, SaidBlock, SaidBlockName, SaidView } from './answer.ts'
import { bucketValue } from './latency-entries.ts'
import {
  l7ProtocolName,
  protocolSpan,
  SaidFlag,
  type SaidRows,
  saidSumCount,
  unknownStatus,
} from './said-rows.ts'

/** What an edge's figures are told as, in this order; protocols of the same kind are one block. */
export const saidBlockNames: readonly SaidBlockName[] = [
  'http',
  'grpc',
  'dns',
  'sql',
  'redis',
  'tls',
  'mqtt',
  'other',
]

const blocks = new Map<number, SaidBlockName>([
  [L7Protocol.http1, 'http'],
  [L7Protocol.http2, 'http'],
  [L7Protocol.grpc, 'grpc'],
  [L7Protocol.dns, 'dns'],
  [L7Protocol.postgres, 'sql'],
  [L7Protocol.mysql, 'sql'],
  [L7Protocol.redis, 'redis'],
  [L7Protocol.tls, 'tls'],
  [L7Protocol.mqtt, 'mqtt'],
])

export function blockOf(protocol: number): SaidBlockName {
  return blocks.get(protocol) ?? 'other'
}

const blockNumbers = Uint8Array.from({ length: protocolSpan }, (_, protocol) =>
  saidBlockNames.indexOf(blockOf(protocol)),
)

/** Both ends must have timed about the same messages, or their means are not of the same thing. */
const sameSamples = 0.05
const told = [0.5, 0.9, 0.99, 1]

/** Adds up rows as one end saw them. One object serves one view after another. */
export class ViewSums {
  requests = 0
  errors = 0
  unknown = 0
  requestBytes = 0
  responseBytes = 0
  firstByteUs = 0
  lastByteUs = 0
  /** Of what was timed: how many by slot, the slots in use (the last one exclusive), and how many in all. */
  readonly counts = new Float64Array(bucketSlots)
  low: number = bucketSlots
  high = 0
  samples = 0
  readonly #statuses = new Map<number, number>()
  readonly #quantiles = new Float64Array(told.length)

  clear(): void {
    this.requests = this.errors = this.unknown = this.requestBytes = this.responseBytes = 0
    this.firstByteUs = this.lastByteUs = this.samples = 0
    this.#statuses.clear()
    if (this.low < this.high) this.counts.fill(0, this.low, this.high)
    this.low = bucketSlots
    this.high = 0
  }

  add(rows: SaidRows, row: number): void {
    const { sums } = rows
    const at = row * saidSumCount
    const count = sums[at]
    const flags = rows.flagsOf(row)
    const status = rows.statusOf(row)
    this.requests += count
    if ((flags & SaidFlag.error) !== 0) this.errors += count
    if (status === unknownStatus) this.unknown += count
    else this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + count)
    this.requestBytes += sums[at + 1]
    this.responseBytes += sums[at + 2]
    if ((flags & SaidFlag.timeless) !== 0) return
    this.firstByteUs += sums[at + 3]
    this.lastByteUs += sums[at + 4]
    rows.addBucketsTo(row, this)
  }

  /** Status and count of those that are not 0, by rising status. */
  statuses(): [status: number, count: number][] {
    const list: [number, number][] = []
    for (const entry of this.#statuses) if (entry[1] !== 0) list.push(entry)
    return list.length > 1 ? list.sort((a, b) => a[0] - b[0]) : list
  }

  get meanFirstByteUs(): number {
    return Math.round(this.firstByteUs / this.samples)
  }

  get meanLastByteUs(): number {
    return Math.round(this.lastByteUs / this.samples)
  }

  /** p50, p90, p99 and the largest by nearest rank; a slot's samples count as its middle. Holds until the next call. */
  quantiles(): Float64Array {
    const { counts, samples, high } = this
    const found = this.#quantiles
    let below = 0
    let slot = this.low - 1
    for (let q = 0; q < told.length; q++) {
      const rank = Math.ceil(told[q] * samples)
      while (below < rank && slot < high - 1) below += counts[++slot]
      found[q] = bucketValue(slot)
    }
    return found
  }

  view(): SaidView | undefined {
    if (this.requests <= 0) return undefined
    const { requests, errors, unknown, requestBytes, responseBytes, lastByteUs, samples } = this
    return {
      requests,
      errors,
      unknown,
      requestBytes,
      responseBytes,
      statuses: Object.fromEntries(this.statuses()),
      timeUs: lastByteUs,
      ...(samples > 0 && {
        firstByteUs: this.#percentiles(),
        meanFirstByteUs: this.meanFirstByteUs,
        meanLastByteUs: this.meanLastByteUs,
      }),
    }
  }

  #percentiles(): Percentiles {
    const [p50, p90, p99, max] = this.quantiles()
    return { count: this.samples, p50, p90, p99, max }
  }
}

/** Adds up what rows of one kind of protocols say, each end apart. */
export class BlockSums {
  readonly client = new ViewSums()
  readonly server = new ViewSums()
  readonly #spoken = new Float64Array(protocolSpan)

  clear(): void {
    this.client.clear()
    this.server.clear()
    this.#spoken.fill(0)
  }

  add(rows: SaidRows, row: number): void {
    const end = (rows.flagsOf(row) & SaidFlag.server) !== 0 ? this.server : this.client
    end.add(rows, row)
    this.#spoken[rows.protocolOf(row)] += rows.sums[row * saidSumCount]
  }

  /** Whether anything is left of it: corrections may have taken all back. */
  get isSaid(): boolean {
    return this.client.requests > 0 || this.server.requests > 0
  }

  /** What was taken back entirely was not spoken. */
  protocols(): string[] {
    const names: string[] = []
    for (let protocol = 0; protocol < protocolSpan; protocol++)
      if (this.#spoken[protocol] > 0) names.push(l7ProtocolName(protocol))
    return names.length > 1 ? names.sort() : names
  }

  networkUs(): number | undefined {
    const { client, server } = this
    const most = Math.max(client.samples, server.samples)
    if (client.samples <= 0 || server.samples <= 0) return undefined
    if (Math.abs(client.samples - server.samples) > sameSamples * most) return undefined
    return Math.round(client.firstByteUs / client.samples - server.firstByteUs / server.samples)
  }
}

/** Adds up what was said on an edge, block by block. One object serves one edge after another. */
export class SaidOfEdge {
  /** By place in `saidBlockNames`. */
  readonly blocks = saidBlockNames.map(() => new BlockSums())
  /** A bit for each block that has rows. */
  #used = 0

  clear(): void {
    for (let block = 0; this.#used >>> block !== 0; block++) if (this.has(block)) this.blocks[block].clear()
    this.#used = 0
  }

  add(rows: SaidRows, row: number): void {
    const block = blockNumbers[rows.protocolOf(row)]
    this.#used |= 1 << block
    this.blocks[block].add(rows, row)
  }

  has(block: number): boolean {
    return ((this.#used >>> block) & 1) !== 0
  }

  get isSaid(): boolean {
    for (let block = 0; this.#used >>> block !== 0; block++)
      if (this.has(block) && this.blocks[block].isSaid) return true
    return false
  }
}

/** A row, and where it is. */
export interface SaidPlace {
  readonly rows: SaidRows
  readonly row: number
}

const sums = new BlockSums()

/** What rows say, each end apart; undefined where they add up to nothing. */
export function saidBlock(places: readonly SaidPlace[]): SaidBlock | undefined {
  sums.clear()
  for (const { rows, row } of places) sums.add(rows, row)
  if (!sums.isSaid) return undefined
  const client = sums.client.view()
  const server = sums.server.view()
  const networkUs = sums.networkUs()
  return {
    protocols: sums.protocols(),
    ...(client && { client }),
    ...(server && { server }),
    ...(networkUs !== undefined && { networkUs }),
  }
}
