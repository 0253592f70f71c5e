import type { Completeness } from './answer.ts'
import { createEdgeTextWriter } from './edge-text.ts'
import type { Evaluation } from './evaluate.ts'
import { JsonText, type Literal, literal } from './json-text.ts'
import { latencyFigures } from './latency-figures.ts'
import { nodeJson } from './node-text.ts'

export interface AnswerFrame {
  readonly fromMs: number
  readonly toMs: number
  readonly isClosed: boolean
  readonly completeness: Completeness
  readonly notes: readonly string[]
}

const comma = literal(',')
const bytesPerEdge = 1800
const bytesPerNode = 250

/** JSON text of nodes that were written before, by their own text's source: groups are few and stay. */
export type NodeTexts = WeakMap<object, Literal>

/** The whole answer as ASCII JSON. */
export function answerText(
  found: Evaluation,
  frame: AnswerFrame,
  nodeTexts: NodeTexts,
  buffer?: ArrayBuffer,
): Uint8Array<ArrayBuffer> {
  const { fold, groups, slots } = found
  const out = new JsonText(4096 + groups.length * bytesPerNode + slots.length * bytesPerEdge, buffer)
  const window = {
    from: new Date(frame.fromMs).toISOString(),
    to: new Date(frame.toMs).toISOString(),
    stepSeconds: 60,
    closed: frame.isClosed,
  }
  out.text(`{"schemaVersion":"1.0","window":${JSON.stringify(window)},"completeness":`)
  out.text(`${JSON.stringify(frame.completeness)},"groupBy":"${fold.groupBy}","nodes":[`)
  groups.forEach((group, i) => {
    const text = nodeText(fold.groups[group], nodeTexts)
    out.reserve(text.length)
    if (i > 0) out.literal(comma)
    out.literal(text)
  })
  out.text('],"edges":[')
  const isWanted = new Uint8Array(found.sums.slots)
  for (const slot of slots) isWanted[slot] = 1
  const figures = latencyFigures(found.sums, fold.slotsByAge, isWanted)
  const edges = createEdgeTextWriter(fold, found.sums, figures)
  for (let i = 0; i < slots.length; i++) {
    if (i > 0) out.literal(comma)
    edges.write(out, slots[i])
  }
  out.text(`],"notes":${JSON.stringify([...found.notes, ...frame.notes])}}`)
  return out.finish()
}

function nodeText(group: Parameters<typeof nodeJson>[0], texts: NodeTexts): Literal {
  let text = texts.get(group)
  if (!text) {
    text = literal(nodeJson(group))
    texts.set(group, text)
  }
  return text
}
