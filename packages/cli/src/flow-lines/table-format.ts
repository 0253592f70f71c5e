import { printable } from '../printable.ts'
import { bytes, count, micros } from '../quantity.ts'
import { batchText } from './batch-text.ts'
import { eventLine } from './compact-format.ts'
import { endName, socketText } from './flow-end.ts'
import type { FlowRow } from './flow-row.ts'
import { arrowOf, bothWays, marksOf, outcomeColour, outcomeText, roleText, timeOfDay } from './flow-text.ts'
import type { LineFormat } from './line-format.ts'
import type { Colour, Paint } from './paint.ts'

interface Column {
  readonly title: string
  /** What usually fits, so that columns seldom have to grow. */
  readonly usual?: number
  /** Cells are cut to this. */
  readonly widest: number
  /** Text from outside, to be escaped. */
  readonly isForeign?: true
  readonly alignRight?: boolean
  readonly text: (row: FlowRow) => string
  readonly colour?: (row: FlowRow) => Colour | undefined
}

// an IPv4 and an IPv6 address, each with its port
const usualSocket = 21
const widestSocket = 48

const columns: readonly Column[] = [
  { title: 'UTC', widest: 12, text: row => timeOfDay(row.unixMs), colour: () => 'dim' },
  { title: 'NODE', usual: 8, widest: 24, isForeign: true, text: row => row.node, colour: () => 'cyan' },
  { title: 'SEEN BY', widest: 7, text: roleText },
  { title: 'PR', widest: 3, text: row => row.protocol },
  { title: 'FROM', usual: 16, widest: 32, isForeign: true, text: row => endName(row.from) },
  { title: '', usual: usualSocket, widest: widestSocket, text: row => socketText(row.from) },
  { title: '', widest: 1, text: arrowOf },
  { title: 'TO', usual: 16, widest: 32, isForeign: true, text: row => endName(row.to) },
  { title: '', usual: usualSocket, widest: widestSocket, text: row => socketText(row.to) },
  { title: 'STATE', usual: 14, widest: 25, text: outcomeText, colour: outcomeColour },
  { title: 'BYTES→', usual: 7, widest: 8, alignRight: true, text: row => bytes(bothWays(row).there.bytes) },
  { title: '←BYTES', usual: 7, widest: 8, alignRight: true, text: row => bytes(bothWays(row).back.bytes) },
  { title: 'SEG→', widest: 6, alignRight: true, text: row => count(bothWays(row).there.segments) },
  { title: '←SEG', widest: 6, alignRight: true, text: row => count(bothWays(row).back.segments) },
  { title: 'RETR', widest: 6, alignRight: true, text: row => retransmits(row) },
  { title: 'RTT', usual: 7, widest: 8, alignRight: true, text: row => micros(row.srttUs) },
  { title: 'HANDSH.', usual: 7, widest: 8, alignRight: true, text: row => micros(row.handshakeUs) },
  { title: 'MARKS', widest: 60, text: row => marksOf(row).join(' ') },
]

/**
 * Aligned columns. What comes later is not known yet, so a column grows when a batch needs it and never shrinks; the
 * head is printed once.
 */
export function tableFormat(paint: Paint): LineFormat {
  const widths = columns.map(({ title, usual = 0 }) => Math.max(title.length, usual))
  let hasHead = false

  function grow(cells: readonly string[]): void {
    for (const [index, cell] of cells.entries()) widths[index] = Math.max(widths[index], cell.length)
  }

  function line(cells: readonly string[], colours: readonly (Colour | undefined)[]): string {
    const padded = cells.map((cell, index) => {
      const text = columns[index].alignRight ? cell.padStart(widths[index]) : cell.padEnd(widths[index])
      const colour = colours[index]
      return colour === undefined ? text : paint(colour, text)
    })
    return `${padded.join('  ').trimEnd()}\n`
  }

  function headOnce(): string {
    if (hasHead) return ''
    hasHead = true
    return line(
      columns.map(({ title }) => title),
      columns.map(() => 'bold'),
    )
  }

  return {
    head: () => '',
    batch: header => `${paint('dim', `# ${batchText(header)}`)}\n`,
    rows(rows) {
      if (rows.length === 0) return ''
      const cells = rows.map(row => columns.map(column => cellOf(column, row)))
      cells.forEach(grow)
      const lines = rows.map((row, index) =>
        line(
          cells[index],
          columns.map(({ colour }) => colour?.(row)),
        ),
      )
      return headOnce() + lines.join('')
    },
    event: event => `${eventLine(event, paint)}\n`,
    tail: () => headOnce(),
  }
}

function cellOf({ text, widest, isForeign }: Column, row: FlowRow): string {
  const cell = text(row)
  return isForeign ? printable(cell, widest) : cell.slice(0, widest)
}

/** A blank where there can be none. */
function retransmits({ protocol, counters }: FlowRow): string {
  return protocol === 'udp' ? '' : count(counters.retransmits)
}
