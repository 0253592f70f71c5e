import type { TopologyAnswer, TopologyEdge } from '../../topology/answer.ts'
import { edgeBytes, edgeLabel } from './edge-figures.ts'

/** Other representations of a topology, for tools that draw graphs. All names are escaped: they are hostile input. */
export const graphFormats = ['native', 'dot', 'mermaid', 'cytoscape', 'grafana'] as const
export type GraphFormat = (typeof graphFormats)[number]

export const graphContentTypes: { readonly [F in GraphFormat]: string } = {
  native: 'application/json; charset=utf-8',
  dot: 'text/vnd.graphviz; charset=utf-8',
  mermaid: 'text/vnd.mermaid; charset=utf-8',
  cytoscape: 'application/json; charset=utf-8',
  grafana: 'application/json; charset=utf-8',
}

export function renderGraph(format: Exclude<GraphFormat, 'native'>, answer: TopologyAnswer): string {
  if (format === 'dot') return dot(answer)
  if (format === 'mermaid') return mermaid(answer)
  return JSON.stringify(format === 'cytoscape' ? cytoscape(answer) : grafana(answer))
}

const healthColours = { ok: '#2e7d32', degraded: '#b26a00', failing: '#c62828' } as const

function dot(answer: TopologyAnswer): string {
  const lines = ['digraph skybraid {', '  rankdir=LR;', '  node [shape=box, style=rounded];']
  for (const node of answer.nodes) {
    lines.push(`  ${dotText(node.id)} [label=${dotText(`${node.name}\n${node.kind}`)}];`)
  }
  for (const edge of answer.edges) {
    const style = edge.observed === 'both' ? 'solid' : 'dashed'
    lines.push(
      `  ${dotText(edge.source)} -> ${dotText(edge.target)} [label=${dotText(edgeLabel(edge))}, style=${style}, color="${healthColours[edge.health]}"];`,
    )
  }
  lines.push('}', '')
  return lines.join('\n')
}

function dotText(text: string): string {
  const escaped = withoutControls(text)
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
  return `"${escaped}"`
}

function mermaid(answer: TopologyAnswer): string {
  const index = new Map(answer.nodes.map((node, i) => [node.id, `n${i}`]))
  const lines = ['flowchart LR']
  for (const node of answer.nodes) lines.push(`  ${index.get(node.id)}["${mermaidText(node.name)}"]`)
  for (const edge of answer.edges) {
    const arrow = edge.observed === 'both' ? '-->' : '-.->'
    const from = index.get(edge.source)
    const to = index.get(edge.target)
    if (from !== undefined && to !== undefined)
      lines.push(`  ${from} ${arrow}|"${mermaidText(edgeLabel(edge))}"| ${to}`)
  }
  return lines.join('\n') + '\n'
}

/** Mermaid writes special characters as `#code;`; everything that is not plain text goes that way. */
function mermaidText(text: string): string {
  return withoutControls(text).replaceAll(/[^\p{L}\p{N} .,:/@_()+*=-]/gu, c =>
    c === '\n' ? ' ' : `#${c.codePointAt(0)};`,
  )
}

/** Control and bidirectional characters could change how the rest of the file is read or shown. */
function withoutControls(text: string): string {
  return text.replaceAll(/[^\P{C}\n]/gu, '\uFFFD')
}

function cytoscape(answer: TopologyAnswer): object {
  return {
    elements: {
      nodes: answer.nodes.map(node => ({ data: { id: node.id, name: node.name, kind: node.kind } })),
      edges: answer.edges.map(edge => ({
        data: {
          id: edge.id,
          source: edge.source,
          target: edge.target,
          protocol: edge.protocol,
          port: edge.port,
          observed: edge.observed,
          health: edge.health,
          bytes: edgeBytes(edge),
        },
      })),
    },
  }
}

/** The two frames of Grafana's node graph panel; field names are the panel's. */
function grafana(answer: TopologyAnswer): object {
  return {
    nodes: answer.nodes.map(node => ({ id: node.id, title: node.name, subTitle: node.kind })),
    edges: answer.edges.map(grafanaEdge),
  }
}

function grafanaEdge(edge: TopologyEdge): object {
  return {
    id: edge.id,
    source: edge.source,
    target: edge.target,
    mainStat: edgeLabel(edge),
    secondaryStat: `seen by ${edge.observed}`,
    detail__health: edge.health,
    detail__bytes: edgeBytes(edge),
    color: healthColours[edge.health],
  }
}
