/** Figures of an edge, and how numbers are written. Absent stays absent: it is shown as a dash, never as 0. */

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

export function bytesText(bytes) {
  if (bytes === undefined) return '–'
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || Math.abs(value) >= 100 ? 0 : 1
  return `${value.toFixed(digits)} ${byteUnits[unit]}`
}

export function countText(count) {
  return count === undefined ? '–' : count.toLocaleString('en-US')
}

export function microsText(us) {
  if (us === undefined) return '–'
  if (us < 1000) return `${round(us)} µs`
  if (us < 1_000_000) return `${round(us / 1000)} ms`
  return `${round(us / 1_000_000)} s`
}

export function millisText(ms) {
  return ms === undefined ? '–' : microsText(ms * 1000)
}

function round(value) {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}

/** Bytes from the dialler to the acceptor: as the dialler counted them, or as the acceptor did if it alone reported. */
export function bytesForward(edge) {
  const { client, server } = sidesOf(edge)
  return client?.bytesSent ?? server?.bytesReceived
}

export function bytesBack(edge) {
  const { client, server } = sidesOf(edge)
  return client?.bytesReceived ?? server?.bytesSent
}

export function totalBytes(edge) {
  return (bytesForward(edge) ?? 0) + (bytesBack(edge) ?? 0)
}

export function sidesOf(edge) {
  const { client, server } = edge.tcp ?? edge.udp ?? {}
  return { client, server }
}

export function opened(edge) {
  if (edge.tcp !== undefined) return edge.tcp.opened
  return edge.udp?.client?.flows ?? edge.udp?.server?.flows
}

export function retransmits(edge) {
  const { client, server } = edge.tcp ?? {}
  if (client === undefined && server === undefined) return undefined
  return (client?.retransmits ?? 0) + (server?.retransmits ?? 0)
}

/** Lost segments, both directions; undefined where neither could be compared. */
export function lost(edge) {
  const { clientToServer, serverToClient } = edge.tcp?.loss ?? {}
  if (clientToServer?.segmentsLost === undefined && serverToClient?.segmentsLost === undefined)
    return undefined
  return (clientToServer?.segmentsLost ?? 0) + (serverToClient?.segmentsLost ?? 0)
}

export function rttP50(edge) {
  return edge.tcp?.client?.rttUs?.p50 ?? edge.tcp?.server?.rttUs?.p50
}

export function lossText(direction) {
  if (direction === undefined) return '–'
  if (direction.segmentsLost === undefined) return `unknown: ${whyUnknown(direction.unknown)}`
  const { segmentsLost, segmentsCompared } = direction
  const share = segmentsCompared > 0 ? ` (${percent(segmentsLost / segmentsCompared)})` : ''
  const partly = direction.unknown === undefined ? '' : `; the rest unknown: ${whyUnknown(direction.unknown)}`
  return `${countText(segmentsLost)} of ${countText(segmentsCompared)} segments${share}${partly}`
}

function percent(share) {
  if (share === 0) return '0 %'
  return share < 0.001 ? '< 0.1 %' : `${(share * 100).toFixed(1)} %`
}

const unknownReasons = {
  one_end_only: 'only one end reported',
  not_yet_quiet: 'segments are still on their way',
  segments_coalesced: 'segments were merged on the way',
}

export function whyUnknown(reason) {
  return unknownReasons[reason] ?? reason ?? 'not measured'
}

export const observedText = { both: 'both ends', client: 'client only', server: 'server only' }
