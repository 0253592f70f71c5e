import { element, visible } from './dom.js'
import {
  bytesBack,
  bytesForward,
  bytesText,
  countText,
  lost,
  microsText,
  observedText,
  opened,
  retransmits,
  rttP50,
  totalBytes,
} from './figures.js'

/** The edges as a table: sorted by any column, one row selected. */

const maxRows = 200
const severity = { ok: 0, degraded: 1, failing: 2 }

const columns = [
  {
    key: 'source',
    title: 'From',
    text: (edge, name) => name(edge.source),
    value: (edge, name) => name(edge.source),
  },
  {
    key: 'target',
    title: 'To',
    text: (edge, name) => name(edge.target),
    value: (edge, name) => name(edge.target),
  },
  { key: 'port', title: 'Port', text: edge => `${edge.protocol}/${edge.port}`, value: edge => edge.port },
  { key: 'health', title: 'Health', text: edge => edge.health, value: edge => severity[edge.health] },
  {
    key: 'observed',
    title: 'Seen by',
    text: edge => observedText[edge.observed],
    value: edge => edge.observed,
  },
  number('opened', 'Opened', opened),
  number('open', 'Open now', edge => edge.tcp?.openNow),
  number('failed', 'Failed', edge => edge.tcp?.failed),
  number('bytes', 'Bytes →', bytesForward, bytesText, totalBytes),
  number('back', 'Bytes ←', bytesBack, bytesText),
  number('retransmits', 'Retransmits', retransmits),
  number('lost', 'Lost', lost),
  number('rtt', 'RTT p50', rttP50, microsText),
]

function number(key, title, figure, text = countText, value = figure) {
  return { key, title, numeric: true, text: edge => text(figure(edge)), value }
}

export function createTableView(host, { onSelect, onSort }) {
  const head = element('tr')
  const body = element('tbody')
  const rest = element('p', { class: 'rest' })
  host.append(element('table', {}, element('thead', {}, head), body), rest)
  const buttons = new Map()
  for (const column of columns) {
    const button = element('button', { type: 'button' }, column.title)
    const cell = element('th', { scope: 'col', class: column.numeric ? 'number' : undefined }, button)
    button.addEventListener('click', () => onSort(column.key, column.numeric === true))
    head.append(cell)
    buttons.set(column.key, cell)
  }
  body.addEventListener('click', event => select(event.target))
  body.addEventListener('keydown', event => {
    if (event.key === 'Enter') select(event.target)
  })
  const select = target => {
    const row = target.closest('tr')
    if (row !== null && row.edgeId !== undefined) onSelect(row.edgeId)
  }
  const rows = new Map()

  function render(edges, names, { sort, selectedEdge }) {
    const down = sort.startsWith('-')
    const column =
      columns.find(one => one.key === sort.replace(/^-/, '')) ?? columns.find(one => one.key === 'bytes')
    for (const [key, cell] of buttons) {
      cell.setAttribute('aria-sort', key !== column.key ? 'none' : down ? 'descending' : 'ascending')
    }
    const shown = sorted(edges, column, names, down).slice(0, maxRows)
    const wanted = new Set(shown.map(edge => edge.id))
    for (const id of rows.keys()) if (!wanted.has(id)) rows.delete(id)
    body.replaceChildren(...shown.map(edge => rowOf(edge, names, edge.id === selectedEdge)))
    rest.hidden = edges.length <= maxRows
    rest.textContent = rest.hidden
      ? ''
      : `${countText(edges.length - maxRows)} more edges; filter to see them.`
  }

  /** Rows are kept while their edge is shown, so that keyboard focus and a click in progress survive an update. */
  function rowOf(edge, names, selected) {
    let row = rows.get(edge.id)
    if (row === undefined) {
      row = element(
        'tr',
        { tabindex: '0' },
        ...columns.map(column => element('td', { class: column.numeric ? 'number' : undefined })),
      )
      row.edgeId = edge.id
      rows.set(edge.id, row)
    }
    columns.forEach((column, i) => {
      const text = visible(column.text(edge, names))
      const cell = row.cells[i]
      if (cell.textContent === text) return
      cell.textContent = text
      // a name may be cut on the screen
      if (!column.numeric) cell.title = text
    })
    row.setAttribute('data-health', edge.health)
    row.setAttribute('aria-selected', String(selected))
    return row
  }
  return { render }
}

function sorted(edges, column, names, down) {
  const valued = edges.map(edge => ({ edge, value: column.value(edge, names) }))
  valued.sort((a, b) => {
    // what was not measured comes last, whichever way the column is sorted
    if (a.value === undefined || b.value === undefined)
      return (a.value === undefined) - (b.value === undefined)
    const order = a.value < b.value ? -1 : a.value > b.value ? 1 : 0
    return (down ? -order : order) || (a.edge.id < b.edge.id ? -1 : 1)
  })
  return valued.map(({ edge }) => edge)
}
