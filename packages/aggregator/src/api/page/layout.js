import { orderLayers } from './layer-order.js'

/**
 * Layered layout from left to right: who dials stands left of who answers. Pure and deterministic, so the picture
 * doesn't jump when nothing about its shape changed. Cycles are cut where the walk from the diallers closes them.
 */

export const box = { width: 178, height: 46, gapX: 140, gapY: 20 }

/** Nodes `{id}` and edges `{id, source, target}` to positions of boxes (top left) and points of arrows. */
export function layeredLayout(nodes, edges, maxWidth) {
  const parts = components(nodes, edges).map(part => layoutPart(part.nodes, part.edges))
  return pack(parts, maxWidth)
}

function components(nodes, edges) {
  const parent = new Map(nodes.map(node => [node.id, node.id]))
  const find = id => {
    let root = id
    while (parent.get(root) !== root) root = parent.get(root)
    parent.set(id, root)
    return root
  }
  for (const edge of edges) parent.set(find(edge.source), find(edge.target))
  const parts = new Map()
  for (const node of nodes) {
    const root = find(node.id)
    if (!parts.has(root)) parts.set(root, { nodes: [], edges: [] })
    parts.get(root).nodes.push(node)
  }
  for (const edge of edges) parts.get(find(edge.source)).edges.push(edge)
  return [...parts.values()]
}

function layoutPart(nodes, edges) {
  const loops = edges.filter(edge => edge.source === edge.target)
  const arrows = directed(
    nodes,
    edges.filter(edge => edge.source !== edge.target),
  )
  const layerOf = assignLayers(nodes, arrows)
  const { layers, chains } = withBends(nodes, arrows, layerOf)
  const ordered = orderLayers(layers, chains)
  const centre = placeRows(ordered, chains)
  return assemble(nodes, arrows, loops, layerOf, chains, centre)
}

/** Each edge as `{id, from, to, reversed}` so that no cycle is left: edges against the flow are turned round. */
function directed(nodes, edges) {
  const place = new Map(flowOrder(nodes, edges).map((id, i) => [id, i]))
  return edges.map(edge => {
    const reversed = place.get(edge.source) > place.get(edge.target)
    const [from, to] = reversed ? [edge.target, edge.source] : [edge.source, edge.target]
    return { id: edge.id, from, to, reversed }
  })
}

/**
 * Nodes in an order that few bytes run against: who only answers goes last, who only dials goes first, and among the
 * rest the one that sends the most more than it gets is taken next.
 */
function flowOrder(nodes, edges) {
  const left = new Set(nodes.map(node => node.id))
  const balance = new Map(nodes.map(node => [node.id, { out: 0, in: 0, weight: 0 }]))
  const shift = (edge, by) => {
    const from = balance.get(edge.source)
    const to = balance.get(edge.target)
    from.out += by
    from.weight += by * (1 + (edge.bytes ?? 0))
    to.in += by
    to.weight -= by * (1 + (edge.bytes ?? 0))
  }
  for (const edge of edges) shift(edge, 1)
  let rest = edges
  const first = []
  const last = []
  const take = (id, list) => {
    list.push(id)
    left.delete(id)
    for (const edge of rest) if (edge.source === id || edge.target === id) shift(edge, -1)
    rest = rest.filter(edge => edge.source !== id && edge.target !== id)
  }
  while (left.size > 0) {
    const ids = [...left]
    const sink = ids.find(id => balance.get(id).out === 0)
    const source = ids.find(id => balance.get(id).in === 0)
    if (sink !== undefined) take(sink, last)
    else if (source !== undefined) take(source, first)
    else
      take(
        ids.reduce((a, b) => (balance.get(b).weight > balance.get(a).weight ? b : a)),
        first,
      )
  }
  return [...first, ...last.reverse()]
}

/** The longest way from a dialler; a dialler without callers of its own moves next to the first it dials. */
function assignLayers(nodes, arrows) {
  const incoming = new Map(nodes.map(node => [node.id, 0]))
  const next = new Map(nodes.map(node => [node.id, []]))
  for (const arrow of arrows) {
    incoming.set(arrow.to, incoming.get(arrow.to) + 1)
    next.get(arrow.from).push(arrow.to)
  }
  const roots = nodes.filter(node => incoming.get(node.id) === 0).map(node => node.id)
  const layerOf = new Map(nodes.map(node => [node.id, 0]))
  const queue = [...roots]
  for (let i = 0; i < queue.length; i++) {
    for (const to of next.get(queue[i])) {
      layerOf.set(to, Math.max(layerOf.get(to), layerOf.get(queue[i]) + 1))
      incoming.set(to, incoming.get(to) - 1)
      if (incoming.get(to) === 0) queue.push(to)
    }
  }
  for (const id of roots) {
    if (next.get(id).length > 0) layerOf.set(id, Math.min(...next.get(id).map(to => layerOf.get(to))) - 1)
  }
  return layerOf
}

/** Layers with a bend for every layer that a long arrow crosses, and for each arrow the chain it runs through. */
function withBends(nodes, arrows, layerOf) {
  const depth = Math.max(...nodes.map(node => layerOf.get(node.id))) + 1
  const layers = Array.from({ length: depth }, () => [])
  for (const node of nodes) layers[layerOf.get(node.id)].push(node.id)
  const chains = new Map()
  for (const arrow of arrows) {
    const chain = [arrow.from]
    for (let layer = layerOf.get(arrow.from) + 1; layer < layerOf.get(arrow.to); layer++) {
      const bend = `bend\n${arrow.id}\n${layer}`
      layers[layer].push(bend)
      chain.push(bend)
    }
    chain.push(arrow.to)
    chains.set(arrow.id, chain)
  }
  return { layers, chains }
}

const isBend = id => id.startsWith('bend\n')
const heightOf = id => (isBend(id) ? 12 : box.height)

/** Vertical centres: everything wants to stand level with its neighbours, in the given order and without overlap. */
function placeRows(layers, chains) {
  const neighbours = new Map(layers.flat().map(id => [id, []]))
  for (const chain of chains.values()) {
    for (let i = 1; i < chain.length; i++) {
      neighbours.get(chain[i]).push(chain[i - 1])
      neighbours.get(chain[i - 1]).push(chain[i])
    }
  }
  const centre = new Map()
  for (const layer of layers)
    placeLayer(
      layer,
      layer.map(() => 0),
      centre,
    )
  for (let round = 0; round < 10; round++) {
    const sweep = round % 2 === 0 ? layers : [...layers].reverse()
    for (const layer of sweep) {
      placeLayer(
        layer,
        layer.map(id =>
          mean(
            neighbours.get(id).map(n => centre.get(n)),
            centre.get(id),
          ),
        ),
        centre,
      )
    }
  }
  return centre
}

function mean(values, otherwise) {
  return values.length === 0 ? otherwise : values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The positions closest to the wished ones that keep order and distance: merge neighbours that collide, averaging. */
function placeLayer(layer, wishes, centre) {
  const offsets = []
  let offset = 0
  for (let i = 0; i < layer.length; i++) {
    if (i > 0) offset += (heightOf(layer[i - 1]) + heightOf(layer[i])) / 2 + box.gapY
    offsets.push(offset)
  }
  const blocks = []
  for (let i = 0; i < layer.length; i++) {
    let block = { sum: wishes[i] - offsets[i], count: 1 }
    while (blocks.length > 0 && blocks.at(-1).sum / blocks.at(-1).count > block.sum / block.count) {
      const before = blocks.pop()
      block = { sum: before.sum + block.sum, count: before.count + block.count }
    }
    blocks.push(block)
  }
  let i = 0
  for (const { sum, count } of blocks) {
    for (let n = 0; n < count; n++, i++) centre.set(layer[i], sum / count + offsets[i])
  }
}

function assemble(nodes, arrows, loops, layerOf, chains, centre) {
  const all = [...centre]
  const top = Math.min(...all.map(([id, y]) => y - heightOf(id) / 2))
  const bottom = Math.max(...all.map(([id, y]) => y + heightOf(id) / 2))
  const positions = new Map()
  for (const node of nodes) {
    const x = layerOf.get(node.id) * (box.width + box.gapX)
    positions.set(node.id, { x, y: centre.get(node.id) - box.height / 2 - top })
  }
  const paths = new Map()
  const ports = spreadPorts(arrows, chains, centre)
  for (const arrow of arrows) {
    const points = pointsOf(arrow, chains.get(arrow.id), layerOf, centre, ports).map(([x, y]) => [x, y - top])
    paths.set(arrow.id, arrow.reversed ? points.reverse() : points)
  }
  for (const loop of loops) paths.set(loop.id, loopPoints(positions.get(loop.source)))
  const depth = Math.max(...nodes.map(node => layerOf.get(node.id))) + 1
  const width = depth * box.width + (depth - 1) * box.gapX + (loops.length > 0 ? 120 : 0)
  return { width, height: bottom - top, positions, paths, size: nodes.length }
}

/** Where on a box's side each arrow ends: spread over the side in the order of what they lead to. */
function spreadPorts(arrows, chains, centre) {
  const sides = new Map()
  for (const arrow of arrows) {
    const chain = chains.get(arrow.id)
    addTo(sides, `${arrow.from} right`, { id: arrow.id, towards: centre.get(chain[1]) })
    addTo(sides, `${arrow.to} left`, { id: arrow.id, towards: centre.get(chain.at(-2)) })
  }
  const ports = new Map()
  for (const [side, ends] of sides) {
    ends.sort((a, b) => a.towards - b.towards || (a.id < b.id ? -1 : 1))
    const step = Math.min(11, (box.height - 12) / ends.length)
    for (const [i, end] of ends.entries()) ports.set(`${side} ${end.id}`, (i - (ends.length - 1) / 2) * step)
  }
  return ports
}

function addTo(lists, key, value) {
  if (!lists.has(key)) lists.set(key, [])
  lists.get(key).push(value)
}

function pointsOf(arrow, chain, layerOf, centre, ports) {
  const start = layerOf.get(arrow.from)
  return chain.flatMap((id, i) => {
    const left = (start + i) * (box.width + box.gapX)
    const y = centre.get(id)
    if (i === 0) return [[left + box.width, y + ports.get(`${arrow.from} right ${arrow.id}`)]]
    if (i === chain.length - 1) return [[left, y + ports.get(`${arrow.to} left ${arrow.id}`)]]
    return [
      [left, y],
      [left + box.width, y],
    ]
  })
}

function loopPoints({ x, y }) {
  const right = x + box.width
  return [
    [right, y + 12],
    [right, y + box.height - 12],
  ]
}

/** Puts the parts of a picture that aren't connected on shelves no wider than the widest of them or the window. */
function pack(parts, maxWidth) {
  const sorted = [...parts].sort((a, b) => b.size - a.size || b.width - a.width)
  const limit = Math.max(maxWidth, ...sorted.map(part => part.width))
  const positions = new Map()
  const paths = new Map()
  let x = 0
  let y = 0
  let shelf = 0
  let width = 0
  for (const part of sorted) {
    if (x > 0 && x + part.width > limit) {
      x = 0
      y += shelf + box.gapY * 2
      shelf = 0
    }
    for (const [id, at] of part.positions) positions.set(id, { x: at.x + x, y: at.y + y })
    for (const [id, points] of part.paths)
      paths.set(
        id,
        points.map(([px, py]) => [px + x, py + y]),
      )
    width = Math.max(width, x + part.width)
    shelf = Math.max(shelf, part.height)
    x += part.width + box.gapX / 2
  }
  return { width, height: y + shelf, positions, paths }
}
