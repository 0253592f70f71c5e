import { element, visible } from './dom.js'
import { countText, microsText } from './figures.js'

/** What was said on an edge, protocol by protocol: requests, errors and times as each end saw them. */

const titles = {
  http: 'HTTP',
  grpc: 'gRPC',
  dns: 'DNS',
  sql: 'SQL',
  redis: 'Redis',
  tls: 'TLS',
  mqtt: 'MQTT',
  other: 'Other protocols',
}

/** `seconds` is how long the window has lasted. */
export function saidParts(edge, seconds) {
  return Object.entries(titles).flatMap(([block, title]) =>
    edge[block] === undefined
      ? []
      : [element('h3', {}, headOf(title, edge[block])), tableOf(edge[block], seconds)],
  )
}

function headOf(title, { protocols }) {
  return protocols.length > 1 || protocols[0] === 'postgres' || protocols[0] === 'mysql'
    ? `${title} (${visible(protocols.join(', '))})`
    : title
}

function tableOf({ client, server, networkUs }, seconds) {
  const rows = [
    ['Requests', countText(client?.requests), countText(server?.requests)],
    ['Requests a second', rate(client, seconds), rate(server, seconds)],
    ['Errors', share(client, 'errors'), share(server, 'errors')],
    ['No response seen', share(client, 'unknown'), share(server, 'unknown')],
    ['Time to first byte p50', microsText(client?.firstByteUs?.p50), microsText(server?.firstByteUs?.p50)],
    ['Time to first byte p99', microsText(client?.firstByteUs?.p99), microsText(server?.firstByteUs?.p99)],
  ]
  if (networkUs !== undefined) rows.push(['Of it the network, on average', microsText(networkUs), ''])
  const head = ['', 'Client view', 'Server view'].map(title => element('th', { scope: 'col' }, title))
  const body = rows.map(([what, ...cells]) =>
    element('tr', {}, element('th', { scope: 'row' }, what), ...cells.map(text => element('td', {}, text))),
  )
  return element(
    'table',
    { class: 'sides' },
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...body),
  )
}

function rate(view, seconds) {
  if (view === undefined || !(seconds > 0)) return '–'
  const perSecond = view.requests / seconds
  return perSecond >= 100 ? countText(Math.round(perSecond)) : perSecond.toFixed(perSecond >= 1 ? 1 : 2)
}

function share(view, what) {
  if (view === undefined) return '–'
  const count = view[what] ?? 0
  if (count === 0) return '0'
  return `${countText(count)} (${((count / view.requests) * 100).toFixed(1)} %)`
}
