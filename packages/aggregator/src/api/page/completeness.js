import { countText } from './figures.js'

/** The completeness of an answer in words, and whether any of it should worry the reader. */
export function completenessText({ window, completeness, notes }) {
  const { collectors, lostRecords, lost, oneSidedEdges, unresolvedEndpoints, sampledEdges, missingMinutes } =
    completeness
  const parts = [`${collectors.reporting} of ${collectors.expected} collectors reporting`]
  const places = Object.entries(lost).map(
    ([place, count]) => `${countText(count)} at ${place.replaceAll('_', ' ')}`,
  )
  parts.push(
    lostRecords === 0 ? 'no record lost' : `${countText(lostRecords)} records lost (${places.join(', ')})`,
  )
  if (oneSidedEdges > 0) parts.push(`${plural(oneSidedEdges, 'edge')} seen from one end only`)
  if (unresolvedEndpoints > 0)
    parts.push(`${plural(unresolvedEndpoints, 'address', 'addresses')} without a name`)
  if (sampledEdges > 0) parts.push(`${plural(sampledEdges, 'edge')} estimated from a sample`)
  if (missingMinutes > 0) parts.push(`nothing kept for ${plural(missingMinutes, 'minute')} of this window`)
  parts.push(`${clock(window.from)} – ${clock(window.to)}${window.closed ? '' : ', still filling'}`)
  const worry = lostRecords > 0 || collectors.reporting < collectors.expected
  return { text: [...parts, ...notes].join(' · '), worry }
}

/** Why there is nothing to see. */
export function emptyText(head, filter, windowText) {
  const { reporting, expected } = head.completeness.collectors
  if (filter !== '') return ['Nothing matches the filter.', 'Press Esc to clear it.']
  if (reporting === 0) {
    const known =
      expected === 0 ? 'No collector has reported yet.' : `None of ${expected} collectors reports.`
    return [known, 'Edges appear here about a second after the first collector sends something.']
  }
  const who = reporting === 1 ? 'The collector reports' : `${reporting} collectors report`
  return [
    `${who}, but nobody talked in the last ${windowText}.`,
    'Any connection will do: try curl against a local server.',
  ]
}

function plural(count, one, many = `${one}s`) {
  return `${countText(count)} ${count === 1 ? one : many}`
}

function clock(iso) {
  const time = new Date(iso)
  return time.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
}
