import { element, visible } from './dom.js'
import { bytesText, countText, lossText, microsText, millisText, observedText, sidesOf } from './figures.js'
import { saidParts } from './said-view.js'

/** One edge from both ends: what the client saw, what the server saw, and what differs. */

export function renderDetail(host, { edge, siblings, seconds, name, onClose, onFocus, onSelect }) {
  const title = element(
    'h2',
    {},
    visible(name(edge.source)),
    element('span', { class: 'arrow-sign' }, ' → '),
    visible(name(edge.target)),
  )
  const close = button('×', 'Close', onClose, 'close')
  const head = element('div', { class: 'detail-head' }, title, close)
  const facts = element('p', { class: 'facts' }, ...factsOf(edge))
  const scroll = host.querySelector('.detail-scroll')?.scrollTop ?? 0
  const body = element(
    'div',
    { class: 'detail-scroll' },
    facts,
    reasonsOf(edge),
    ...saidParts(edge, seconds),
    sideTable(edge),
    ...tcpParts(edge),
  )
  if (siblings.length > 1) body.append(siblingList(edge, siblings, onSelect))
  const focus = element('p', { class: 'actions' })
  for (const id of new Set([edge.source, edge.target]))
    focus.append(button(`Focus on ${visible(name(id))}`, undefined, () => onFocus(id)))
  body.append(focus)
  host.replaceChildren(head, body)
  body.scrollTop = scroll
}

export function renderNode(host, { node, edges, name, onClose, onFocus, onSelect }) {
  const head = element(
    'div',
    { class: 'detail-head' },
    element('h2', {}, visible(node.name)),
    button('×', 'Close', onClose, 'close'),
  )
  const list = element('dl', { class: 'pairs' })
  for (const [term, value] of [
    ['Kind', node.kind],
    ['Id', node.id],
    ['Part of', node.parent === '' ? '–' : node.parent],
    [
      'Name found by',
      {
        kernel: 'the kernel (owner of the socket)',
        dns: 'a DNS answer seen here',
        address: 'nothing but its address',
      }[node.foundBy],
    ],
  ])
    list.append(element('dt', {}, term), element('dd', {}, visible(value)))
  const body = element('div', { class: 'detail-scroll' }, list)
  for (const [text, some] of [
    ['Dials', edges.filter(edge => edge.source === node.id)],
    ['Is dialled by', edges.filter(edge => edge.target === node.id)],
  ]) {
    if (some.length === 0) continue
    const items = some.slice(0, 50).map(edge => {
      const other = edge.source === node.id ? edge.target : edge.source
      return element(
        'li',
        { 'data-health': edge.health },
        button(`${visible(name(other))} ${edge.protocol}/${edge.port}`, undefined, () => onSelect(edge.id)),
      )
    })
    body.append(element('h3', {}, `${text} (${some.length})`), element('ul', { class: 'siblings' }, ...items))
  }
  body.append(
    element(
      'p',
      { class: 'actions' },
      button(`Focus on ${visible(node.name)}`, undefined, () => onFocus(node.id)),
    ),
  )
  host.replaceChildren(head, body)
}

function button(text, label, onClick, className) {
  const made = element('button', { type: 'button', 'aria-label': label, class: className }, text)
  made.addEventListener('click', onClick)
  return made
}

function factsOf(edge) {
  const chip = (text, attributes = {}) => element('span', { class: 'chip', ...attributes }, visible(text))
  return [
    chip(edge.health, { 'data-health': edge.health }),
    chip(`${edge.protocol}/${edge.port}`),
    chip(`seen by ${observedText[edge.observed]}`),
    edge.via === undefined ? undefined : chip(`dialled as ${edge.via}`),
  ].filter(one => one !== undefined)
}

function reasonsOf(edge) {
  if (edge.reasons.length === 0) return undefined
  return element(
    'ul',
    { class: 'reasons', 'data-health': edge.health },
    ...edge.reasons.map(reason => element('li', {}, visible(reason))),
  )
}

function sideTable(edge) {
  const { client, server } = sidesOf(edge)
  const rows = edge.tcp === undefined ? udpRows(client, server) : tcpRows(client, server)
  const body = rows.map(({ what, left, right, text, difference }) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, what),
      element('td', {}, text(left)),
      element('td', {}, text(right)),
      differenceCell(left, right, text, difference),
    ),
  )
  const head = element(
    'tr',
    {},
    ...['', 'Client view', 'Server view', 'Difference'].map(title => element('th', { scope: 'col' }, title)),
  )
  const table = element(
    'table',
    { class: 'sides' },
    element('thead', {}, head),
    element('tbody', {}, ...body),
  )
  const missing = client === undefined ? 'client' : server === undefined ? 'server' : undefined
  if (missing === undefined) return table
  const note = `No collector saw the ${missing}’s end, so there is nothing to compare with.`
  return element('div', {}, table, element('p', { class: 'note' }, note))
}

function differenceCell(left, right, text, difference) {
  if (difference === false || left === undefined || right === undefined) return element('td', {}, '')
  const gap = left - right
  return element(
    'td',
    { class: gap === 0 || difference === 'plain' ? 'same' : 'differs' },
    gap === 0 ? '=' : `${gap > 0 ? '+' : '−'}${text(Math.abs(gap))}`,
  )
}

function tcpRows(client, server) {
  const row = (what, left, right, text = countText, difference = true) => ({
    what,
    left,
    right,
    text,
    difference,
  })
  return [
    row('Opened / accepted', client?.opened, server?.opened),
    row('Closed', client?.closed, server?.closed),
    row('Bytes to the server', client?.bytesSent, server?.bytesReceived, bytesText),
    row('Bytes to the client', client?.bytesReceived, server?.bytesSent, bytesText),
    row('Data segments to the server', client?.dataSegmentsSent, server?.dataSegmentsReceived),
    row('Data segments to the client', client?.dataSegmentsReceived, server?.dataSegmentsSent),
    row('Retransmitted by this end', client?.retransmits, server?.retransmits, countText, false),
    row('Arrived out of order', client?.outOfOrder, server?.outOfOrder, countText, false),
    row('Round trip p50', client?.rttUs?.p50, server?.rttUs?.p50, microsText, 'plain'),
    row('Round trip p99', client?.rttUs?.p99, server?.rttUs?.p99, microsText, 'plain'),
    row('Handshake p50', client?.handshakeUs?.p50, server?.handshakeUs?.p50, microsText, 'plain'),
    row('Lifetime p50', client?.durationMs?.p50, server?.durationMs?.p50, millisText, 'plain'),
    row('Ended by FIN', client?.ended.fin, server?.ended.fin),
    row('Ended by a reset it sent', client?.ended.resetSent, server?.ended.resetSent, countText, false),
    row(
      'Ended by a reset it got',
      client?.ended.resetReceived,
      server?.ended.resetReceived,
      countText,
      false,
    ),
    row('Ended by the kernel’s timeout', client?.ended.timeout, server?.ended.timeout, countText, false),
  ]
}

function udpRows(client, server) {
  const row = (what, left, right, text = countText) => ({ what, left, right, text, difference: true })
  return [
    row('Flows', client?.flows, server?.flows),
    row('Datagrams to the server', client?.datagramsSent, server?.datagramsReceived),
    row('Datagrams to the client', client?.datagramsReceived, server?.datagramsSent),
    row('Bytes to the server', client?.bytesSent, server?.bytesReceived, bytesText),
    row('Bytes to the client', client?.bytesReceived, server?.bytesSent, bytesText),
  ]
}

function tcpParts(edge) {
  if (edge.tcp === undefined) return []
  const { tcp } = edge
  const pairs = element('dl', { class: 'pairs' })
  const add = (term, value, wrong) =>
    pairs.append(element('dt', {}, term), element('dd', { class: wrong ? 'wrong' : undefined }, value))
  add('Lost towards the server', lossText(tcp.loss.clientToServer), tcp.loss.clientToServer.segmentsLost > 0)
  add('Lost towards the client', lossText(tcp.loss.serverToClient), tcp.loss.serverToClient.segmentsLost > 0)
  add('Open now', countText(tcp.openNow))
  add('Seen from both ends', `${countText(tcp.openedJoined)} of ${countText(tcp.opened)} opened`)
  if ((tcp.client?.adopted ?? 0) + (tcp.server?.adopted ?? 0) > 0) {
    add(
      'Older than the collector',
      `${countText(Math.max(tcp.client?.adopted ?? 0, tcp.server?.adopted ?? 0))}, counted since it started`,
    )
  }
  if ((tcp.server?.halfOpen ?? 0) > 0)
    add('Dials that never completed, as the server saw', countText(tcp.server.halfOpen), true)
  for (const [key, text] of Object.entries(failureText)) {
    if (tcp.failures[key] > 0) add(text, countText(tcp.failures[key]), true)
  }
  return [element('h3', {}, 'Loss and failures'), pairs]
}

const failureText = {
  refused: 'Refused',
  timedOut: 'Timed out',
  unreachable: 'Unreachable',
  resetInHandshake: 'Reset in the handshake',
  abandoned: 'Given up by the client',
  other: 'Failed otherwise',
}

function siblingList(edge, siblings, onSelect) {
  const items = siblings.map(other => {
    const text = `${other.protocol}/${other.port}${other.via === undefined ? '' : ` as ${visible(other.via)}`}`
    const select = button(text, undefined, () => onSelect(other.id))
    if (other.id === edge.id) select.setAttribute('aria-current', 'true')
    return element('li', { 'data-health': other.health }, select)
  })
  return element(
    'div',
    {},
    element('h3', {}, 'Other edges between the two'),
    element('ul', { class: 'siblings' }, ...items),
  )
}
