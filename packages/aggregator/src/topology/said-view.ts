import { bucketSlots, L7Protocol } from '@skybraid/shared'
import type { Percentiles, SaidBlock, SaidBlockName, SaidView } from './answer.ts'
import { bucketValue } from './latency-entries.ts'
import { l7ProtocolName, SaidFlag, type SaidRows, saidSumCount, unknownStatus } from './said-rows.ts'

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

/** Both ends must have timed about the same messages, or their means are not of the same thing. */
const sameSamples = 0.05

/** Adds up rows as one end saw them. One object serves one view after another. */
class ViewSums {
  requests = 0
  errors = 0
  unknown = 0
  requestBytes = 0
  responseBytes = 0
  firstByteUs = 0
  lastByteUs = 0
  samples = 0
  readonly statuses = new Map<number, number>()
  readonly #counts = new Float64Array(bucketSlots)
  /** The slots in use, the last one exclusive. */
  #low: number = bucketSlots
  #high = 0

  clear(): void {
    this.requests = this.errors = this.unknown = this.requestBytes = this.responseBytes = 0
    this.firstByteUs = this.lastByteUs = this.samples = 0
    this.statuses.clear()
    this.#counts.fill(0, this.#low, this.#high)
    this.#low = bucketSlots
    this.#high = 0
  }

  add(rows: SaidRows, row: number): void {
    const at = row * saidSumCount
    const count = rows.sums[at]
    const flags = rows.flagsOf(row)
    const status = rows.statusOf(row)
    this.requests += count
    if ((flags & SaidFlag.error) !== 0) this.errors += count
    if (status === unknownStatus) this.unknown += count
    else this.statuses.set(status, (this.statuses.get(status) ?? 0) + count)
    this.requestBytes += rows.sums[at + 1]
    this.responseBytes += rows.sums[at + 2]
    if ((flags & SaidFlag.timeless) !== 0) return
    this.firstByteUs += rows.sums[at + 3]
    this.lastByteUs += rows.sums[at + 4]
    rows.eachBucket(row, (slot, samples) => {
      this.#counts[slot] += samples
      if (slot < this.#low) this.#low = slot
      if (slot >= this.#high) this.#high = slot + 1
      this.samples += samples
    })
  }

  view(): SaidView | undefined {
    if (this.requests <= 0) return undefined
    const { requests, errors, unknown, requestBytes, responseBytes, lastByteUs, samples } = this
    const statuses: Record<string, number> = {}
    for (const [status, count] of [...this.statuses].sort(([a], [b]) => a - b))
      if (count !== 0) statuses[status] = count
    return {
      requests,
      errors,
      unknown,
      requestBytes,
      responseBytes,
      statuses,
      timeUs: lastByteUs,
      ...(samples > 0 && {
        firstByteUs: this.#percentiles(),
        meanFirstByteUs: Math.round(this.firstByteUs / samples),
        meanLastByteUs: Math.round(lastByteUs / samples),
      }),
    }
  }

  /** Nearest rank; a slot's samples count as its middle. */
  #percentiles(): Percentiles {
    const { samples } = this
    const quantiles = [0.5, 0.9, 0.99, 1].map(quantile => Math.ceil(quantile * samples))
    const found: number[] = []
    let below = 0
    for (let slot = this.#low; slot < this.#high && found.length < quantiles.length; slot++) {
      below += this.#counts[slot]
      while (found.length < quantiles.length && below >= quantiles[found.length])
        found.push(bucketValue(slot))
    }
    const [p50, p90, p99, max] = found
    return { count: samples, p50, p90, p99, max }
  }
}

/** A row, and where it is. */
export interface SaidPlace {
  readonly rows: SaidRows
  readonly row: number
}

const client = new ViewSums()
const server = new ViewSums()

/** What rows say, each end apart; undefined where they add up to nothing. */
export function saidBlock(places: readonly SaidPlace[]): SaidBlock | undefined {
  client.clear()
  server.clear()
  const spoken = new Map<string, number>()
  for (const { rows, row } of places) {
    const isServer = (rows.flagsOf(row) & SaidFlag.server) !== 0
    const end = isServer ? server : client
    end.add(rows, row)
    const protocol = l7ProtocolName(rows.operations[rows.operationOf(row)].protocol)
    spoken.set(protocol, (spoken.get(protocol) ?? 0) + rows.sums[row * saidSumCount])
  }
  const seen = { client: client.view(), server: server.view() }
  if (seen.client === undefined && seen.server === undefined) return undefined
  const networkUs = networkTime()
  return {
    // what was taken back entirely was not spoken
    protocols: [...spoken].flatMap(([protocol, count]) => (count > 0 ? [protocol] : [])).sort(),
    ...(seen.client && { client: seen.client }),
    ...(seen.server && { server: seen.server }),
    ...(networkUs !== undefined && { networkUs }),
  }
}

function networkTime(): number | undefined {
  const most = Math.max(client.samples, server.samples)
  if (client.samples <= 0 || server.samples <= 0) return undefined
  if (Math.abs(client.samples - server.samples) > sameSamples * most) return undefined
  return Math.round(client.firstByteUs / client.samples - server.firstByteUs / server.samples)
}
