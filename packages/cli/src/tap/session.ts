import { createFlowColumns, type FlowColumns } from '@skybraid/shared'
import { nodeToken, parseFlowSubject } from '@skybraid/shared/nats'
import { createCollectorWatch } from '../flow-lines/collector-watch.ts'
import type { FlowFilter } from '../flow-lines/flow-filter.ts'
import { flowRows } from '../flow-lines/flow-row.ts'
import type { LineFormat } from '../flow-lines/line-format.ts'
import type { TapEvent } from '../flow-lines/tap-event.ts'
import { delimited } from './batch-file.ts'
import { readFlowPayload } from './flow-message-reader.ts'
import type { Sink } from './sink.ts'
import type { TapMessage } from './tap-message.ts'

/** From batches as they came to what is printed. */
export interface Session {
  /** Prints a batch's records that fit, the first `leaveOut` of them not, after what is to say about it. */
  take(message: TapMessage, leaveOut?: number): Promise<void>
  /** How many records of a batch would be printed; nothing is printed or booked. */
  fittingRecords(message: TapMessage): number
  /** Books a batch that is not going to be taken, to be told before the next one. */
  dropped(message: TapMessage): void
  /** Prints what is still to say, and the end. */
  finish(): Promise<void>
}

export interface SessionOptions {
  /** None: batches are written as they came. */
  readonly format: LineFormat | undefined
  readonly filter: FlowFilter
  /** Names of nodes to keep to; empty: all. */
  readonly nodes: readonly string[]
  readonly sink: Sink
  readonly now: () => number
}

export function createSession({ format, filter, nodes, sink, now }: SessionOptions): Session {
  const columns = createFlowColumns()
  const watch = createCollectorWatch()
  let letGo = { batches: 0, records: 0, bytes: 0 }

  const eventsText = (events: readonly TapEvent[]) =>
    format === undefined ? '' : events.map(event => format.event(event)).join('')

  function slowEvents(): TapEvent[] {
    if (letGo.batches === 0) return []
    const event: TapEvent = { unixMs: now(), node: '', bootId: '', kind: 'slow', ...letGo }
    letGo = { batches: 0, records: 0, bytes: 0 }
    return [event]
  }

  return {
    async take(message, leaveOut = 0) {
      const events = slowEvents()
      const reason = readMessage(message, columns)
      if (reason !== undefined) events.push(refusal(message, reason, now()))
      if (reason !== undefined || !isWanted(columns, nodes)) return sink.write(eventsText(events))
      const noted = watch.note(columns.header)
      events.push(...noted.events)
      if (format !== undefined) {
        const rows = noted.isNew ? flowRows(columns).filter(filter).slice(leaveOut) : []
        return sink.write(eventsText(events) + format.rows(rows))
      }
      if (noted.isNew) await sink.write(delimited(message.payload))
    },
    fittingRecords(message) {
      if (readMessage(message, columns) !== undefined || !isWanted(columns, nodes)) return 0
      return flowRows(columns).filter(filter).length
    },
    dropped(message) {
      const { head, payload } = message
      letGo.batches += 1
      letGo.records += head?.recordCount ?? 0
      letGo.bytes += payload.length
      if (head !== undefined) watch.skip(head)
    },
    async finish() {
      await sink.write(eventsText(slowEvents()) + (format?.tail() ?? ''))
    },
  }
}

/** Why it is not a batch that may be shown; undefined if it is. A node may speak only under its own subject. */
function readMessage({ payload, subject }: TapMessage, columns: FlowColumns): string | undefined {
  const reason = readFlowPayload(payload, columns)
  if (reason !== undefined || subject === undefined) return reason
  const parts = parseFlowSubject(subject)
  const { node, partition, cluster } = columns.header
  if (parts === undefined) return 'its subject is not one of batches'
  if (parts.node !== nodeToken(node))
    return `it says it is of the node ${node}, and came as one of ${parts.node}`
  if (parts.partition !== partition || (cluster !== '' && parts.cluster !== cluster)) {
    return `its cluster or partition is not that of its subject ${subject}`
  }
  return undefined
}

function isWanted({ header }: FlowColumns, nodes: readonly string[]): boolean {
  return nodes.length === 0 || nodes.includes(header.node)
}

function refusal({ head, subject }: TapMessage, reason: string, unixMs: number): TapEvent {
  const node = head?.node ?? (subject === undefined ? undefined : parseFlowSubject(subject)?.node) ?? ''
  return { unixMs, node, bootId: head?.bootId ?? '', kind: 'refused', reason }
}
