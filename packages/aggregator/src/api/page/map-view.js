import { loopPath, pathText, placeLabels } from './arrow-shape.js'
import { setAttribute, setText, svg, visible } from './dom.js'
import { bytesText, countText, lost, observedText } from './figures.js'
import { box, layeredLayout } from './layout.js'
import { fitText } from './text-fit.js'

/** Draws the picture and keeps it up to date. Elements are reused by id, so a change never blinks. */

const margin = 26
const labelledBundles = 28
const smallestScale = 0.62
/** Parts of the picture stand side by side as long as this is enough to show them whole. */
const shelfScale = 0.9
/** Who gets a place for its label first. */
const urgency = { failing: 2, degraded: 1, ok: 0 }

export function createMapView(host, { onSelectEdge, onSelectNode }) {
  const root = svg('svg', { role: 'img', 'aria-label': 'Arrows from who dials to who answers' })
  const arrowLayer = svg('g')
  const nodeLayer = svg('g')
  root.append(markers(), arrowLayer, nodeLayer)
  host.append(root)
  const arrows = new Map()
  const boxes = new Map()
  let shape = ''
  let layout

  const isolate = ids => {
    root.classList.toggle('isolating', ids !== undefined)
    for (const [id, arrow] of arrows) arrow.group.classList.toggle('lit', ids?.has(id) ?? false)
    for (const [id, node] of boxes) node.group.classList.toggle('lit', ids?.has(id) ?? false)
  }
  const around = id => {
    const ids = new Set([id])
    for (const { bundle } of arrows.values()) {
      if (bundle.source === id || bundle.target === id) {
        for (const one of [bundle.id, bundle.source, bundle.target]) ids.add(one)
      }
    }
    return ids
  }

  function addArrow(bundle) {
    const line = svg('path', { class: 'line' })
    const hit = svg('path', { class: 'hit' })
    const label = svg('text', { class: 'label' })
    const title = svg('title')
    const group = svg('g', { class: 'arrow', tabindex: '0', role: 'button' }, title, hit, line, label)
    const arrow = { group, line, hit, label, title, bundle }
    group.addEventListener('pointerenter', () =>
      isolate(new Set([arrow.bundle.id, arrow.bundle.source, arrow.bundle.target])),
    )
    group.addEventListener('pointerleave', () => isolate(undefined))
    group.addEventListener('click', () => onSelectEdge(arrow.bundle.first.id))
    group.addEventListener('keydown', event => event.key === 'Enter' && onSelectEdge(arrow.bundle.first.id))
    arrowLayer.append(group)
    return arrow
  }

  function addBox(node) {
    const frame = svg('rect', { width: box.width, height: box.height, rx: 8 })
    const name = svg('text', { class: 'name', x: 14, y: 20 })
    const kind = svg('text', { class: 'kind', x: 14, y: 36 })
    const title = svg('title')
    const group = svg('g', { class: 'node', tabindex: '0', role: 'button' }, title, frame, name, kind)
    const { id } = node
    group.addEventListener('pointerenter', () => isolate(around(id)))
    group.addEventListener('pointerleave', () => isolate(undefined))
    group.addEventListener('click', () => onSelectNode(id))
    group.addEventListener('keydown', event => event.key === 'Enter' && onSelectNode(id))
    nodeLayer.append(group)
    return { group, frame, name, kind, title }
  }

  function render(picture, { selectedEdge, selectedNode, fresh }) {
    const width = host.clientWidth
    const newShape = JSON.stringify([picture.nodes.map(n => n.id), picture.bundles.map(b => b.id), width])
    if (newShape !== shape) {
      layout = layeredLayout(picture.nodes, picture.bundles, (width - 2 * margin) / shelfScale)
      shape = newShape
    }
    keep(arrows, picture.bundles, addArrow)
    keep(boxes, picture.nodes, addBox)
    const labelled = picture.bundles.length <= labelledBundles
    const urgent = [...picture.bundles].sort(
      (a, b) => urgency[b.health] - urgency[a.health] || b.bytes - a.bytes,
    )
    const texts = urgent.map(bundle => ({
      id: bundle.id,
      text: labelText(bundle),
      points: layout.paths.get(bundle.id),
    }))
    const places = placeLabels(texts, [...layout.positions.values()])
    for (const bundle of picture.bundles) {
      const arrow = arrows.get(bundle.id)
      drawArrow(arrow, bundle, layout.paths.get(bundle.id), places.get(bundle.id), labelled)
      arrow.group.classList.toggle(
        'selected',
        bundle.edges.some(edge => edge.id === selectedEdge),
      )
      if (bundle.edges.some(edge => fresh.has(edge.id))) flash(arrow.line)
    }
    const dialled = new Set(picture.bundles.map(bundle => bundle.target))
    for (const node of picture.nodes) {
      const drawn = boxes.get(node.id)
      drawBox(drawn, node, layout.positions.get(node.id), dialled.has(node.id))
      drawn.group.classList.toggle('selected', node.id === selectedNode)
    }
    fit(root, host, layout)
  }

  return { render }
}

function keep(known, items, add) {
  const wanted = new Set(items.map(item => item.id))
  for (const [id, { group }] of known) {
    if (wanted.has(id)) continue
    group.remove()
    known.delete(id)
  }
  for (const item of items) if (!known.has(item.id)) known.set(item.id, add(item))
}

function drawArrow(arrow, bundle, points, place, labelled) {
  arrow.bundle = bundle
  const path = bundle.source === bundle.target ? loopPath(points) : pathText(points)
  setAttribute(arrow.line, 'd', path)
  setAttribute(arrow.hit, 'd', path)
  setAttribute(arrow.line, 'stroke-width', lineWidth(bundle.bytes).toFixed(2))
  setAttribute(arrow.line, 'marker-end', `url(#head-${bundle.health})`)
  setAttribute(arrow.group, 'data-health', bundle.health)
  setAttribute(arrow.group, 'data-one-sided', bundle.oneSided ? '' : undefined)
  setAttribute(arrow.label, 'x', place.x.toFixed(1))
  setAttribute(arrow.label, 'y', place.y.toFixed(1))
  arrow.group.classList.toggle('quiet-label', !labelled || !place.free)
  setText(arrow.label, labelText(bundle))
  setText(arrow.title, bundle.edges.slice(0, 8).map(edgeLine).join('\n'))
}

/** Port and bytes; where something is wrong, that instead of the bytes. */
function labelText({ first, edges, bytes }) {
  const more = edges.length > 1 ? ` +${edges.length - 1}` : ''
  const failed = edges.reduce((sum, edge) => sum + (edge.tcp?.failed ?? 0), 0)
  const gone = edges.reduce((sum, edge) => sum + (lost(edge) ?? 0), 0)
  const amount =
    failed > 0 ? `${countText(failed)} failed` : gone > 0 ? `${countText(gone)} lost` : bytesText(bytes)
  return `${first.protocol === 'udp' ? 'udp ' : ''}:${first.port}${more} · ${amount}`
}

function edgeLine(edge) {
  const reasons = edge.reasons.length > 0 ? `, ${edge.reasons.join(', ')}` : ''
  return visible(
    `${edge.protocol}/${edge.port}, ${edge.health}, seen by ${observedText[edge.observed]}${reasons}`,
  )
}

function drawBox(drawn, node, { x, y }, answers) {
  setAttribute(drawn.group, 'transform', `translate(${x.toFixed(1)} ${y.toFixed(1)})`)
  setAttribute(drawn.group, 'data-kind', node.kind)
  setAttribute(drawn.group, 'data-answers', answers ? '' : undefined)
  setText(drawn.name, fitText(visible(node.name), '600 13.5px', box.width - 28))
  setText(drawn.kind, fitText(visible(kindText(node)), '400 11.5px', box.width - 28))
  setText(drawn.title, visible(`${node.name}\n${node.id}\nname found by ${node.foundBy}`))
}

function kindText(node) {
  if (node.kind === 'outside') return node.foundBy === 'dns' ? 'outside, named by DNS' : 'outside'
  if (node.kind === 'hidden') return 'hidden from this token'
  const parent = node.parent === '' ? '' : ` · ${node.parent.slice(node.parent.lastIndexOf('/') + 1)}`
  return `${node.kind}${parent}`
}

/** Wider for more bytes, by powers of ten: 1 kB is thin, 10 GB is thick. */
function lineWidth(bytes) {
  const decades = Math.min(7, Math.max(0, Math.log10(bytes + 1) - 3))
  return 1.4 + decades * 0.75
}

function flash(line) {
  line.classList.remove('fresh')
  // reading the box makes the browser see the removal, so the animation starts again
  line.getBoundingClientRect()
  line.classList.add('fresh')
}

function fit(root, host, { width, height }) {
  const fullWidth = width + 2 * margin
  const fullHeight = height + 2 * margin
  const room = Math.min(host.clientWidth / fullWidth, host.clientHeight / fullHeight)
  const scale = Math.max(smallestScale, Math.min(1.15, room))
  setAttribute(root, 'viewBox', `${-margin} ${-margin} ${fullWidth.toFixed(0)} ${fullHeight.toFixed(0)}`)
  setAttribute(root, 'width', (fullWidth * scale).toFixed(0))
  setAttribute(root, 'height', (fullHeight * scale).toFixed(0))
}

function markers() {
  const definitions = svg('defs')
  for (const health of ['ok', 'degraded', 'failing']) {
    definitions.append(
      svg(
        'marker',
        {
          id: `head-${health}`,
          viewBox: '0 0 10 10',
          refX: 9,
          refY: 5,
          markerWidth: 10,
          markerHeight: 10,
          orient: 'auto',
          markerUnits: 'userSpaceOnUse',
        },
        svg('path', { d: 'M0 1L10 5L0 9z', class: `head ${health}` }),
      ),
    )
  }
  return definitions
}
