import { hasToken, keepToken } from './access.js'
import { completenessText, emptyText } from './completeness.js'
import { renderDetail, renderNode } from './detail-view.js'
import { element, visible } from './dom.js'
import { countText } from './figures.js'
import { openLive } from './live.js'
import { createMapView } from './map-view.js'
import { choosePicture, filterEdges } from './picture.js'
import { createTableView } from './table-view.js'
import { tokenForm } from './token-form.js'
import { questionOf, readState, writeState } from './url-state.js'

/** Puts the page together: state from the address, topology from the live stream, views from both. */

const $ = id => document.getElementById(id)
let state = readState(location.search)
let selectedNode = ''
let topology
let link = { state: 'reading', since: Date.now() }
let closeLive = () => {}
let question = ''
let drawPending = false
let mapView
const fresh = new Set()
/** How many nodes have each name. */
const namesakes = new Map()

const table = createTableView($('edges'), {
  onSelect: id => selectEdge(id),
  onSort: (key, numeric) => {
    const natural = numeric ? `-${key}` : key
    const turned = numeric ? key : `-${key}`
    change({ sort: state.sort === natural ? turned : natural })
  },
})

function change(changes, { quiet = false } = {}) {
  state = { ...state, ...changes }
  const url = writeState(state)
  if (quiet) history.replaceState(null, '', url)
  else history.pushState(null, '', url)
  follow()
}

/** Makes the controls, the question to the server and the views agree with the state. */
function follow() {
  $('group-by').value = state.groupBy
  $('window').value = state.window
  if ($('filter').value !== state.filter) $('filter').value = state.filter
  const wanted = questionOf(state)
  if (wanted !== question) {
    question = wanted
    closeLive()
    // an answer to another question is never left standing under the new controls
    topology = undefined
    link = { state: 'reading', since: Date.now() }
    closeLive = openLive(question, {
      onTopology: (next, ids) => {
        topology = next
        countNames()
        for (const id of ids) fresh.add(id)
        draw()
      },
      onLink: next => {
        link = next
        if (link.state === 'denied') topology = undefined
        draw()
      },
    })
  }
  draw()
}

/** Many events in one frame make one drawing. */
function draw() {
  if (drawPending) return
  drawPending = true
  requestAnimationFrame(() => {
    drawPending = false
    drawNow()
  })
}

function drawNow() {
  drawLink()
  drawFocus()
  document.body.classList.toggle('stale', link.state === 'lost')
  if (topology?.head === undefined) {
    if (link.state === 'denied') showTokenForm()
    else
      showMessage(
        link.state === 'lost' ? ['No contact with the aggregator.', 'Trying again.'] : ['Reading …', ''],
      )
    $('edges-head').textContent = ''
    table.render([], nameOf, { sort: state.sort, selectedEdge: state.edge })
    $('completeness').textContent = ''
    $('detail').hidden = true
    return
  }
  const edges = filterEdges(topology, state.filter)
  const picture = choosePicture(topology, edges, state.edge)
  if (edges.length === 0) {
    const windowText = $('window').selectedOptions[0]?.textContent ?? state.window
    showMessage(emptyText(topology.head, state.filter, windowText))
  } else {
    drawMap(picture)
  }
  drawTableHead(edges, picture)
  table.render(edges, nameOf, { sort: state.sort, selectedEdge: state.edge })
  drawDetail()
  const { text, worry } = completenessText(topology.head)
  $('completeness').textContent = visible(text)
  $('completeness').classList.toggle('worry', worry)
  fresh.clear()
}

function drawMap(picture) {
  if (mapView === undefined) {
    $('map').replaceChildren()
    mapView = createMapView($('map'), { onSelectEdge: selectEdge, onSelectNode: selectNode })
  }
  mapView.render(picture, { selectedEdge: state.edge, selectedNode, fresh })
}

function showMessage([first, second]) {
  mapView = undefined
  $('map').replaceChildren(
    element('div', { class: 'message' }, element('p', {}, first), element('p', {}, second)),
  )
}

/** Drawn once: what is typed already stays while the rest is drawn anew. */
function showTokenForm() {
  mapView = undefined
  if ($('token') !== null) return
  const onToken = token => {
    keepToken(token)
    question = ''
    $('map').replaceChildren()
    follow()
  }
  $('map').replaceChildren(tokenForm({ wasWrong: hasToken(), onToken }))
  $('token').focus()
}

function drawLink() {
  const time = new Date(link.since).toLocaleTimeString('en-GB')
  const texts = {
    reading: 'reading',
    live: 'live',
    polled: 'polling',
    denied: 'no token',
    lost: `no contact since ${time}`,
  }
  $('link').textContent = texts[link.state]
  $('link').dataset.state = link.state
}

function drawFocus() {
  const bar = $('focus-bar')
  bar.hidden = state.focus === ''
  if (bar.hidden) return
  const steps = element('select', { 'aria-label': 'Steps from the focused node' })
  for (const depth of ['1', '2', '3'])
    steps.append(element('option', { value: depth }, `${depth} step${depth === '1' ? '' : 's'}`))
  steps.value = state.depth
  steps.addEventListener('change', () => change({ depth: steps.value }))
  const leave = element('button', { type: 'button' }, 'Show everything (Esc)')
  leave.addEventListener('click', () => change({ focus: '', depth: '1' }))
  bar.replaceChildren('Around ', element('strong', {}, nameOf(state.focus)), steps, leave)
}

function drawTableHead(edges, { hiddenNodes, hiddenEdges }) {
  const all = topology.edges.size
  const parts = [
    edges.length === all
      ? `${countText(all)} edges`
      : `${countText(edges.length)} of ${countText(all)} edges`,
  ]
  if (hiddenEdges > 0) {
    parts.push(
      `the picture leaves out ${countText(hiddenNodes)} nodes and ${countText(hiddenEdges)} edges: filter, focus or group to see them`,
    )
  }
  $('edges-head').textContent = parts.join(' · ')
}

function drawDetail() {
  const host = $('detail')
  const edge = topology.edges.get(state.edge)
  const node = topology.nodes.get(selectedNode)
  host.hidden = edge === undefined && node === undefined
  if (edge !== undefined) {
    const siblings = [...topology.edges.values()].filter(
      other => other.source === edge.source && other.target === edge.target,
    )
    renderDetail(host, {
      edge,
      siblings,
      seconds: secondsOf(topology.head?.window),
      name: nameOf,
      onClose: deselect,
      onFocus: focusOn,
      onSelect: selectEdge,
    })
  } else if (node !== undefined) {
    const edges = [...topology.edges.values()]
    renderNode(host, { node, edges, name: nameOf, onClose: deselect, onFocus: focusOn, onSelect: selectEdge })
  }
}

/** A node's name, with what it is part of where another node has the same name. */
/** How much of a window has passed. */
function secondsOf(window) {
  if (window === undefined) return 0
  return (Math.min(Date.now(), Date.parse(window.to)) - Date.parse(window.from)) / 1000
}

function nameOf(id) {
  const node = topology?.nodes.get(id)
  if (node === undefined) return visible(id)
  const isAlone = namesakes.get(node.name) === 1 || node.parent === ''
  return visible(
    isAlone ? node.name : `${node.name} (${node.parent.slice(node.parent.lastIndexOf('/') + 1)})`,
  )
}

function countNames() {
  namesakes.clear()
  for (const { name } of topology.nodes.values()) namesakes.set(name, (namesakes.get(name) ?? 0) + 1)
}

function selectEdge(id) {
  selectedNode = ''
  change({ edge: id })
}

function selectNode(id) {
  selectedNode = id
  if (state.edge === '') draw()
  else change({ edge: '' })
}

function deselect() {
  selectedNode = ''
  if (state.edge === '') draw()
  else change({ edge: '' })
}

function focusOn(id) {
  selectedNode = ''
  change({ focus: id, depth: '1', edge: '' })
}

/** `f`: look around what is selected, a node or the answering end of an edge. */
function focusOnSelection() {
  const id = selectedNode !== '' ? selectedNode : topology?.edges.get(state.edge)?.target
  if (id !== undefined) focusOn(id)
}

/** `esc`: one step up. */
function goUp() {
  if (state.edge !== '' || selectedNode !== '') deselect()
  else if (state.focus !== '') change({ focus: '', depth: '1' })
  else if (state.filter !== '') change({ filter: '' })
}

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
  if (event.key === 'Escape') {
    if (typing) event.target.blur()
    goUp()
  } else if (typing) {
    return
  } else if (event.key === '/') {
    $('filter').focus()
    $('filter').select()
  } else if (event.key === 'f') {
    focusOnSelection()
  } else {
    return
  }
  event.preventDefault()
})

$('filter').addEventListener('input', () => change({ filter: $('filter').value }, { quiet: true }))
$('group-by').addEventListener('change', () => {
  selectedNode = ''
  change({ groupBy: $('group-by').value, focus: '', depth: '1', edge: '' })
})
$('window').addEventListener('change', () => change({ window: $('window').value }))
$('theme').addEventListener('click', () => {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches
  const shown = document.documentElement.dataset.theme ?? (dark ? 'dark' : 'light')
  setTheme(shown === 'dark' ? 'light' : 'dark')
})
addEventListener('popstate', () => {
  state = readState(location.search)
  follow()
})
addEventListener('resize', draw)

function setTheme(theme) {
  document.documentElement.dataset.theme = theme
  localStorage.setItem('skybraid-theme', theme)
}

const savedTheme = localStorage.getItem('skybraid-theme')
if (savedTheme === 'dark' || savedTheme === 'light') document.documentElement.dataset.theme = savedTheme
follow()
