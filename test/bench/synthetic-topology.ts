import { createEntityIndex } from '../../packages/aggregator/src/resolve/entity-index.ts'
import { Counter, Histogram } from '../../packages/aggregator/src/topology/counters.ts'
import { SaidFlag } from '../../packages/aggregator/src/topology/said-rows.ts'
import {
  createTopology,
  type Topology,
  type TopologyOptions,
} from '../../packages/aggregator/src/topology/topology.ts'

import { bucketSlot, L7Protocol } from '../../packages/shared/src/index.ts'

export const minuteMs = 60_000

/** Numbers that look like a busy cluster's: a few connections a minute and edge, log-normal sizes and latencies. */
export class SyntheticTraffic {
  readonly topology: Topology
  readonly edges: number[] = []
  readonly firstMinute: number
  #seed = 1

  constructor(
    services: number,
    edges: number,
    onSegment?: (bytes: Uint8Array) => void,
    firstMinute = 29_400_000,
    told: Partial<Pick<TopologyOptions, 'index' | 'onFinal' | 'onSaid'>> = {},
  ) {
    const { index = createEntityIndex(), ...listeners } = told
    const startMs = firstMinute * minuteMs
    this.firstMinute = firstMinute
    this.topology = createTopology({ index, startMs, ...listeners, ...(onSegment && { onSegment }) })
    this.topology.advance(startMs)
    const owners = Array.from({ length: services }, (_, i) => {
      const unit = `svc-${i}.service`
      const owner = {
        cgroup: `/system.slice/${unit}`,
        podUid: '',
        containerId: '',
        unit,
        process: `service-${i}`,
        pid: 0,
      }
      return index.ofOwner(index.node(`node-${i % 100}`), owner)
    })
    for (let i = 0; i < edges; i++) {
      const client = owners[Math.floor(this.#random() * services)]
      // a few services are called by many
      const server = owners[Math.floor(this.#random() * this.#random() * services)]
      this.edges.push(this.topology.book(0).edge(client, server, 1, 8000 + (i % 50), -1, 0))
    }
  }

  /** Books a minute of every edge, both ends joined, about four connections each. */
  fill(minute: number): void {
    for (const edge of this.edges) {
      const row = this.topology.book(0).row(edge, minute)
      const connections = this.#near(4, 1)
      this.#countConnections(row, connections)
      this.#countTraffic(row, connections)
      this.#sampleLatencies(row, connections)
    }
  }

  /** What is said on every edge: three operations and two statuses, seen by both ends. */
  say(minute: number): void {
    const rows = this.topology.book(0).said(minute)
    if (rows === undefined) throw new Error('the minute is closed')
    const operations = Array.from({ length: 3 }, (_, i) =>
      rows.operation({ protocol: L7Protocol.http1, name: `GET /items/{id}/${i}`, host: 'shop' }),
    )
    for (const edge of this.edges)
      for (const side of [0, SaidFlag.server])
        for (const [i, operation] of operations.entries()) {
          const isError = i === 0 && this.#random() < 0.2
          const row = rows.row(edge, operation, isError ? 503 : 200, side | (isError ? SaidFlag.error : 0))
          const count = this.#near(10, 1)
          const us = this.#near(2_000, 1)
          for (const [sum, amount] of [
            count,
            500 * count,
            4_000 * count,
            us * count,
            2 * us * count,
          ].entries())
            rows.add(row, sum, amount)
          rows.addBucket(row, bucketSlot(us), count)
        }
  }

  /** Something small on every edge, so that no part of an earlier answer holds any more. */
  touch(minute: number): void {
    const { topology } = this
    for (const edge of this.edges) {
      const row = topology.book(0).row(edge, minute)
      topology.book(0).counters[row + Counter.clientBytesSent] += 1
      topology.book(0).sample(row, Histogram.clientRttUs, 300, 1)
    }
  }

  #countConnections(row: number, n: number): void {
    const { counters } = this.topology.book(0)
    for (const name of [
      'openedJoined',
      'clientOpened',
      'serverAccepted',
      'clientClosed',
      'serverClosed',
    ] as const)
      counters[row + Counter[name]] += n
    counters[row + Counter.clientEndedFin] += n
    counters[row + Counter.serverEndedFin] += n
  }

  #countTraffic(row: number, n: number): void {
    const { counters } = this.topology.book(0)
    const add = (client: keyof typeof Counter, server: keyof typeof Counter, amount: number) => {
      counters[row + Counter[client]] += amount
      counters[row + Counter[server]] += amount
    }
    const asked = this.#near(40_000, 2)
    const answered = this.#near(200_000, 2)
    const askedSegments = Math.ceil(asked / 1400) + n
    const answeredSegments = Math.ceil(answered / 1400) + n
    add('clientBytesSent', 'serverBytesReceived', asked)
    add('clientBytesReceived', 'serverBytesSent', answered)
    add('clientSegmentsSent', 'serverSegmentsReceived', askedSegments + answeredSegments)
    add('clientSegmentsReceived', 'serverSegmentsSent', askedSegments + answeredSegments)
    add('clientDataSegmentsSent', 'serverDataSegmentsReceived', askedSegments)
    add('clientDataSegmentsReceived', 'serverDataSegmentsSent', answeredSegments)
    counters[row + Counter.clientToServerCompared] += askedSegments
    counters[row + Counter.serverToClientCompared] += answeredSegments
    if (this.#random() < 0.1) add('serverRetransmits', 'serverToClientLost', 1)
  }

  #sampleLatencies(row: number, n: number): void {
    const roundTripUs = this.#near(300, 1)
    for (let i = 0; i < n; i++)
      for (const histogram of Object.values(Histogram)) {
        const isDuration = histogram >= Histogram.clientDurationMs
        this.topology
          .book(0)
          .sample(row, histogram, isDuration ? this.#near(200, 1) : this.#near(roundTripUs, 0.3), 1)
      }
  }

  #near(middle: number, spread: number): number {
    const deviation = this.#random() + this.#random() + this.#random() - 1.5
    return Math.max(1, Math.round(middle * Math.exp(spread * deviation * 1.5)))
  }

  #random(): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0
    return this.#seed / 2 ** 32
  }
}
