import { totalBytes } from './figures.js'

/** Which part of a topology is drawn: a picture of more than some 200 things shows nothing any more. */

const maxNodes = 60
const maxBundles = 140
const severity = { failing: 2, degraded: 1, ok: 0 }

/** Edges whose ends, port or address hold every word of the filter. */
export function filterEdges(topology, filter) {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
  const edges = [...topology.edges.values()]
  if (words.length === 0) return edges
  return edges.filter(edge => {
    const text = searchText(topology, edge)
    return words.every(word => text.includes(word))
  })
}

function searchText(topology, edge) {
  const names = [edge.source, edge.target].map(id => topology.nodes.get(id)?.name ?? '')
  const parts = [
    ...names,
    edge.source,
    edge.target,
    edge.via ?? '',
    `${edge.protocol}/${edge.port}`,
    `:${edge.port}`,
  ]
  return [...parts, edge.health, `seen:${edge.observed}`].join(' ').toLowerCase()
}

/**
 * The bundles (all edges from one node to another) to draw, the sick and the large first, and how many nodes and edges
 * were left out.
 */
export function choosePicture(topology, edges, keepEdge) {
  const bundles = bundle(edges)
  bundles.sort((a, b) => rank(b, keepEdge) - rank(a, keepEdge) || (a.id < b.id ? -1 : 1))
  const nodeIds = new Set()
  const drawn = []
  for (const candidate of bundles) {
    const added = [candidate.source, candidate.target].filter(id => !nodeIds.has(id))
    if (drawn.length >= maxBundles || nodeIds.size + new Set(added).size > maxNodes) continue
    for (const id of added) nodeIds.add(id)
    drawn.push(candidate)
  }
  drawn.sort((a, b) => (a.id < b.id ? -1 : 1))
  const nodes = [...nodeIds].sort().map(id => topology.nodes.get(id) ?? unnamed(id))
  const allNodes = new Set(edges.flatMap(edge => [edge.source, edge.target]))
  const drawnEdges = drawn.reduce((sum, one) => sum + one.edges.length, 0)
  return {
    nodes,
    bundles: drawn,
    hiddenNodes: allNodes.size - nodeIds.size,
    hiddenEdges: edges.length - drawnEdges,
  }
}

function unnamed(id) {
  return { id, name: id, kind: 'outside', parent: '', foundBy: 'address' }
}

function bundle(edges) {
  const bundles = new Map()
  for (const edge of edges) {
    const id = `${edge.source}\n${edge.target}`
    const known = bundles.get(id)
    if (known === undefined) bundles.set(id, { id, source: edge.source, target: edge.target, edges: [edge] })
    else known.edges.push(edge)
  }
  return [...bundles.values()].map(summarise)
}

function summarise({ edges, ...ends }) {
  const sorted = [...edges].sort(
    (a, b) =>
      severity[b.health] - severity[a.health] || totalBytes(b) - totalBytes(a) || (a.id < b.id ? -1 : 1),
  )
  return {
    ...ends,
    edges: sorted,
    first: sorted[0],
    health: sorted[0].health,
    bytes: sorted.reduce((sum, edge) => sum + totalBytes(edge), 0),
    oneSided: sorted.every(edge => edge.observed !== 'both'),
  }
}

function rank(candidate, keepEdge) {
  if (candidate.edges.some(edge => edge.id === keepEdge)) return Number.MAX_VALUE
  return severity[candidate.health] * 1e18 + candidate.bytes
}
