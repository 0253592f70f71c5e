import type { SideTcp, SideUdp, TopologyEdge } from '../../topology/answer.ts'

/** Payload bytes both ways. The client's view if there is one: the two views of one byte are not added. */
export function edgeBytes(edge: TopologyEdge): number {
  const side = viewOf(edge)
  return side === undefined ? 0 : side.bytesSent + side.bytesReceived
}

export function edgeRetransmits(edge: TopologyEdge): number {
  return (edge.tcp?.client?.retransmits ?? 0) + (edge.tcp?.server?.retransmits ?? 0)
}

/** Lost data segments of the compared connections; undefined where nothing could be compared. */
export function edgeLost(edge: TopologyEdge): number | undefined {
  const { clientToServer, serverToClient } = edge.tcp?.loss ?? {}
  if (clientToServer?.segmentsLost === undefined && serverToClient?.segmentsLost === undefined)
    return undefined
  return (clientToServer?.segmentsLost ?? 0) + (serverToClient?.segmentsLost ?? 0)
}

export function edgeLabel(edge: TopologyEdge): string {
  return `${edge.protocol}/${edge.port} ${humanBytes(edgeBytes(edge))}`
}

function viewOf(edge: TopologyEdge): SideTcp | SideUdp | undefined {
  return edge.tcp?.client ?? edge.tcp?.server ?? edge.udp?.client ?? edge.udp?.server
}

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

function humanBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}
