import { printable } from '../printable.ts'
import { bytes, micros } from '../quantity.ts'
import { batchText } from './batch-text.ts'
import { eventText, isLoss } from './event-text.ts'
import type { FlowRow } from './flow-row.ts'
import {
  arrowOf,
  bothWays,
  dayAndTime,
  endText,
  marksOf,
  outcomeColour,
  outcomeText,
  roleText,
} from './flow-text.ts'
import type { LineFormat } from './line-format.ts'
import type { Paint } from './paint.ts'
import type { SaidRow } from './said-rows.ts'
import type { TapEvent } from './tap-event.ts'

/** One line of free width per record, in which what was not measured or is zero takes no room. */
export function compactFormat(paint: Paint): LineFormat {
  return {
    head: () => '',
    batch: header => `${paint('dim', `# ${batchText(header)}`)}\n`,
    rows: rows => rows.map(row => `${rowLine(row, paint)}\n`).join(''),
    event: event => `${eventLine(event, paint)}\n`,
    tail: () => '',
  }
}

/** For tables too. */
export function eventLine(event: TapEvent, paint: Paint): string {
  const sign = isLoss(event) ? '!' : '*'
  const node = printable(event.node, 63)
  const text = printable(`${sign} ${eventText(event)}`, 300)
  return [paint('dim', dayAndTime(event.unixMs)), node, paint(isLoss(event) ? 'magenta' : 'bold', text)]
    .filter(part => part !== '')
    .join('  ')
}

function rowLine(row: FlowRow, paint: Paint): string {
  const outcome = outcomeText(row)
  const colour = outcomeColour(row)
  const parts = [
    paint('dim', dayAndTime(row.unixMs)),
    `${paint('cyan', printable(row.node, 63))} ${roleText(row).padEnd(6)}`,
    row.application === undefined ? row.protocol : `${row.protocol}/${row.application}`,
    `${endText(row.from)} ${arrowOf(row)} ${endText(row.to)}`,
    colour === undefined ? outcome : paint(colour, outcome),
    ...measures(row),
  ]
  const marks = marksOf(row)
  if (marks.length > 0) parts.push(paint('dim', `[${marks.join(' ')}]`))
  for (const said of row.said) parts.push(`| ${saidText(said, paint)}`)
  return parts.join('  ')
}

/** One operation, ended in one way; behind the record, so that a record stays one line. */
function saidText(said: SaidRow, paint: Paint): string {
  const { operation, host, status, count, isError, requestBytes, responseBytes, meanFirstByteUs } = said
  const code = status === undefined ? 'no response seen' : String(status)
  const parts = [
    `${count} × ${printable(operation, 256)}${host === undefined ? '' : ` at ${printable(host, 256)}`}`,
    isError ? paint('red', code) : code,
    `→${bytes(requestBytes)} ←${bytes(responseBytes)}`,
  ]
  if (meanFirstByteUs !== undefined) parts.push(`first byte ${micros(meanFirstByteUs)}`)
  return parts.join('  ')
}

function measures(row: FlowRow): string[] {
  const { there, back } = bothWays(row)
  const { retransmits } = row.counters
  const parts: string[] = []
  if (there.segments + back.segments + there.bytes + back.bytes > 0) {
    parts.push(`→${bytes(there.bytes)} ←${bytes(back.bytes)}`, `seg ${there.segments}/${back.segments}`)
  }
  if (retransmits > 0) parts.push(`retr ${retransmits}`)
  if (row.srttUs !== undefined) parts.push(`rtt ${micros(row.srttUs)}`)
  if (row.handshakeUs !== undefined) parts.push(`hs ${micros(row.handshakeUs)}`)
  return parts
}
