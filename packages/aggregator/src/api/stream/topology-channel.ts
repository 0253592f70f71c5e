import { randomBytes } from 'node:crypto'
import type { TopologyAnswer } from '../../topology/answer.ts'
import { topologyDiff } from './topology-diff.ts'

/** One live client. `send` writes what it is given or, if the client doesn't read, cuts it. */
export interface StreamClient {
  send(event: Buffer): void
}

export interface ChannelSource {
  /** The answer now; undefined if it can't differ from the one given last time. */
  next(): TopologyAnswer | undefined
}

interface PastEvent {
  readonly sequence: number
  readonly event: Buffer
}

const maxHistoryEvents = 600
const maxHistoryBytes = 2 * 1024 * 1024

/**
 * All live clients that asked the same question. Invariants: a client that applies every event after its snapshot holds
 * the newest answer; sequence numbers are contiguous; a client that names an event still in the history gets exactly
 * what came after it, any other one gets `gap` and a snapshot.
 */
export class TopologyChannel {
  readonly clients = new Set<StreamClient>()
  readonly #source: ChannelSource
  readonly #name = randomBytes(6).toString('base64url')
  #last: TopologyAnswer | undefined
  #sequence = 0
  #history: PastEvent[] = []
  #historyBytes = 0

  constructor(source: ChannelSource) {
    this.#source = source
  }

  /** Adds a client and brings it up to date. `lastEventId` is what it says it saw last. */
  join(client: StreamClient, lastEventId: string | undefined): void {
    this.tick()
    if (lastEventId === undefined) {
      client.send(this.#snapshot())
    } else {
      const missed = this.#after(lastEventId)
      if (missed === undefined) {
        client.send(
          encodeEvent('gap', undefined, { lastEventId: lastEventId.slice(0, 80), resumesWith: 'snapshot' }),
        )
        client.send(this.#snapshot())
      } else {
        for (const { event } of missed) client.send(event)
      }
    }
    this.clients.add(client)
  }

  /** Looks for changes and sends them to everyone. */
  tick(): void {
    const answer = this.#source.next()
    if (answer === undefined) return
    const before = this.#last
    this.#last = answer
    if (before === undefined) return
    if (before.groupBy !== answer.groupBy) {
      this.#restart()
      return
    }
    const events: Buffer[] = []
    const change = topologyDiff(before, answer)
    if (change !== undefined) events.push(this.#record('patch', change))
    if (JSON.stringify(windowState(before)) !== JSON.stringify(windowState(answer))) {
      events.push(this.#record('window', windowState(answer)))
    }
    if (events.length === 0) return
    const together = Buffer.concat(events)
    for (const client of this.clients) client.send(together)
  }

  #snapshot(): Buffer {
    if (this.#last === undefined) throw new Error('the source of a channel must answer its first call')
    return encodeEvent('snapshot', this.#id(), this.#last)
  }

  /** The grouping was changed by the server: a patch would be larger than the whole. */
  #restart(): void {
    this.#sequence++
    this.#history = []
    this.#historyBytes = 0
    const snapshot = this.#snapshot()
    for (const client of this.clients) client.send(snapshot)
  }

  #record(name: string, data: object): Buffer {
    this.#sequence++
    const event = encodeEvent(name, this.#id(), data)
    this.#history.push({ sequence: this.#sequence, event })
    this.#historyBytes += event.length
    while (this.#history.length > maxHistoryEvents || this.#historyBytes > maxHistoryBytes) {
      this.#historyBytes -= this.#history.shift()!.event.length
    }
    return event
  }

  #after(lastEventId: string): PastEvent[] | undefined {
    const [name, digits] = lastEventId.split('.')
    if (name !== this.#name || digits === undefined || !/^\d{1,15}$/.test(digits)) return undefined
    const seen = Number(digits)
    if (seen === this.#sequence) return []
    const first = this.#history[0]?.sequence
    if (first === undefined || seen > this.#sequence || seen < first - 1) return undefined
    return this.#history.filter(past => past.sequence > seen)
  }

  #id(): string {
    return `${this.#name}.${this.#sequence}`
  }
}

function windowState(answer: TopologyAnswer): object {
  const { window, completeness, groupBy, notes } = answer
  return { window, completeness, groupBy, notes }
}

/** One server-sent event. JSON has no raw line breaks, so one data line holds it. */
export function encodeEvent(name: string, id: string | undefined, data: object): Buffer {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  return Buffer.from(`event: ${name}\n${idLine}data: ${JSON.stringify(data)}\n\n`)
}
