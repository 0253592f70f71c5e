import { randomBytes } from 'node:crypto'
import type { AnswerMark, TopologyChange } from '../../topology/answer.ts'

/** One live client. `send` writes what it is given or, if the client doesn't read, cuts it. */
export interface StreamClient {
  send(event: Buffer): void
}

export interface ChannelSource {
  /** How the answer now differs from the one marked; undefined if it can't differ. */
  next(before: AnswerMark | undefined): TopologyChange | undefined
  /** The whole answer that `next` was about last, as JSON. */
  whole(): Uint8Array
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
  #mark: AnswerMark | undefined
  #head = ''
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
        const gap = { lastEventId: lastEventId.slice(0, 80), resumesWith: 'snapshot' }
        client.send(encodeEvent('gap', undefined, Buffer.from(JSON.stringify(gap))))
        client.send(this.#snapshot())
      } else {
        for (const { event } of missed) client.send(event)
      }
    }
    this.clients.add(client)
  }

  /** Looks for changes and sends them to everyone. */
  tick(): void {
    const isFirst = this.#mark === undefined
    const change = this.#source.next(this.#mark)
    if (change === undefined) return
    const head = JSON.stringify(change.head)
    const isMoved = head !== this.#head
    this.#mark = change.mark
    this.#head = head
    if (isFirst) return
    if (change.isWhole) {
      this.#restart()
      return
    }
    const events: Buffer[] = []
    if (change.patch !== undefined) events.push(this.#record('patch', change.patch))
    if (isMoved) events.push(this.#record('window', Buffer.from(head)))
    if (events.length === 0) return
    const together = Buffer.concat(events)
    for (const client of this.clients) client.send(together)
  }

  #snapshot(): Buffer {
    if (this.#mark === undefined) throw new Error('the source of a channel must answer its first call')
    return encodeEvent('snapshot', this.#id(), this.#source.whole())
  }

  /** The grouping was changed by the server: a patch would be larger than the whole. */
  #restart(): void {
    this.#sequence++
    this.#history = []
    this.#historyBytes = 0
    const snapshot = this.#snapshot()
    for (const client of this.clients) client.send(snapshot)
  }

  #record(name: string, data: Uint8Array): Buffer {
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

/** One server-sent event. JSON has no raw line breaks, so one data line holds it. */
function encodeEvent(name: string, id: string | undefined, json: Uint8Array): Buffer {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  return Buffer.concat([Buffer.from(`event: ${name}\n${idLine}data: `), json, Buffer.from('\n\n')])
}
