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
    row.protocol,
    `${endText(row.from)} ${arrowOf(row)} ${endText(row.to)}`,
    colour === undefined ? outcome : paint(colour, outcome),
    ...measures(row),
  ]
  const marks = marksOf(row)
  if (marks.length > 0) parts.push(paint('dim', `[${marks.join(' ')}]`))
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
