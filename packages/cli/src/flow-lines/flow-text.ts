import { printable } from '../printable.ts'
import { endName, type FlowEnd, socketText } from './flow-end.ts'
import type { FlowRow } from './flow-row.ts'
import type { Colour } from './paint.ts'

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const longestName = 60

/** `Nov 27 02:14:05.123`, UTC. */
export function dayAndTime(unixMs: number): string {
  const date = new Date(unixMs)
  const day = String(date.getUTCDate()).padStart(2, ' ')
  return `${months[date.getUTCMonth()]} ${day} ${timeOfDay(unixMs)}`
}

/** `02:14:05.123`, UTC. */
export function timeOfDay(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(11, 23)
}

/** Which end reports: `client`, `server?` where the role was guessed, `-` where it is not known. */
export function roleText({ role, roleGuessed }: FlowRow): string {
  return role === 'unknown' ? '-' : `${role}${roleGuessed ? '?' : ''}`
}

export function arrowOf({ role }: FlowRow): string {
  return role === 'unknown' ? '↔' : '→'
}

/** `curl 10.0.0.1:41234`; the name comes from outside and is escaped. */
export function endText(end: FlowEnd): string {
  const name = printable(endName(end), longestName)
  return name === '' ? socketText(end) : `${name} ${socketText(end)}`
}

/** `open`, `closed fin`, `failed refused`. */
export function outcomeText({ state, end }: FlowRow): string {
  return end === undefined ? state : `${state} ${end}`
}

/** Red where the connection did not come about or was torn, so that it stands out among thousands. */
export function outcomeColour({ state, end }: FlowRow): Colour | undefined {
  if (state === 'failed' || state === 'halfOpen') return 'red'
  if (end === 'reset_sent' || end === 'reset_received' || end === 'timeout') return 'yellow'
  return state === 'open' ? 'green' : undefined
}

/** What is special about the record. */
export function marksOf(row: FlowRow): string[] {
  const marks: string[] = []
  // what began and ended within one record needs no mark
  if (row.first && !row.adopted && row.state === 'open') marks.push('new')
  if (row.adopted) marks.push('adopted')
  if (row.roleGuessed) marks.push('guessed')
  if (row.inherited) marks.push('inherited')
  if (row.announcedAgain) marks.push('again')
  if (row.mptcp) marks.push('mptcp')
  if (row.standsFor > 1) marks.push(`one of ${row.standsFor}`)
  return marks
}

/** Payload and segments in the direction of the arrow and against it, whichever end reports. */
export function bothWays({ role, counters }: FlowRow) {
  const sent = { bytes: counters.bytesSent, segments: counters.segmentsSent }
  const received = { bytes: counters.bytesReceived, segments: counters.segmentsReceived }
  return role === 'server' ? { there: received, back: sent } : { there: sent, back: received }
}
