import type { TopologyAnswer, TopologyEdge } from '@skybraid/aggregator'
import { printable } from '../printable.ts'
import { bytes, count, micros } from '../quantity.ts'

interface Column {
  readonly title: string
  readonly width: number
  readonly alignRight?: boolean
  readonly text: (edge: TopologyEdge, names: ReadonlyMap<string, string>) => string
}

const columns: readonly Column[] = [
  { title: 'from', width: 22, text: (edge, names) => names.get(edge.source) ?? edge.source },
  { title: 'to', width: 30, text: (edge, names) => names.get(edge.target) ?? edge.target },
  { title: 'port', width: 9, text: edge => `${edge.protocol} ${edge.port}` },
  { title: 'seen by', width: 7, text: edge => edge.observed },
  { title: 'opened', width: 7, alignRight: true, text: edge => count(edge.tcp?.opened ?? udpFlows(edge)) },
  { title: 'open', width: 6, alignRight: true, text: edge => count(edge.tcp?.openNow) },
  { title: 'failed', width: 6, alignRight: true, text: edge => count(edge.tcp?.failed) },
  { title: 'bytes', width: 8, alignRight: true, text: edge => bytes(edgeBytes(edge)) },
  { title: 'retr', width: 5, alignRight: true, text: edge => count(retransmits(edge)) },
  { title: 'rtt p50', width: 8, alignRight: true, text: edge => micros(rttP50(edge)) },
]

/** The busiest edges of an answer as lines of at most `width` columns; hostile names are escaped. */
export function liveTable(answer: TopologyAnswer, rows: number, width: number): string[] {
  const names = new Map(answer.nodes.map(node => [node.id, node.name]))
  const busiest = [...answer.edges].sort((a, b) => edgeBytes(b) - edgeBytes(a) || a.id.localeCompare(b.id))
  const lines = [line(columns.map(column => column.title))]
  for (const edge of busiest.slice(0, rows)) lines.push(line(columns.map(column => column.text(edge, names))))
  if (busiest.length > rows) lines.push(`… and ${busiest.length - rows} more`)
  if (busiest.length === 0) lines.push('no traffic seen yet')
  return lines.map(text => text.slice(0, width).trimEnd())
}

function line(cells: readonly string[]): string {
  const padded = cells.map((cell, i) => {
    const { width, alignRight } = columns[i]!
    const text = printable(cell, width)
    return alignRight ? text.padStart(width) : text.padEnd(width)
  })
  return padded.join('  ')
}

/** Payload both ways as the better informed end saw it; counting both ends would double it. */
function edgeBytes({ tcp, udp }: TopologyEdge): number {
  const sides = [tcp?.client, tcp?.server, udp?.client, udp?.server]
  return Math.max(0, ...sides.map(side => (side === undefined ? 0 : side.bytesSent + side.bytesReceived)))
}

function udpFlows({ udp }: TopologyEdge): number | undefined {
  return udp?.client?.flows ?? udp?.server?.flows
}

function retransmits({ tcp }: TopologyEdge): number | undefined {
  if (tcp === undefined) return undefined
  return (tcp.client?.retransmits ?? 0) + (tcp.server?.retransmits ?? 0)
}

function rttP50({ tcp }: TopologyEdge): number | undefined {
  return tcp?.client?.rttUs?.p50 ?? tcp?.server?.rttUs?.p50
}
