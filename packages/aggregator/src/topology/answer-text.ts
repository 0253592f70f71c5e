import type { Completeness } from './answer.ts'
import { createEdgeTextWriter } from './edge-text.ts'
import type { Evaluation } from './evaluate.ts'
import { type GroupTexts, groupText } from './group-text.ts'
import { JsonText, literal } from './json-text.ts'
import { createLatencyScratch, type LatencyScratch, latencyFigures } from './latency-figures.ts'

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

/** What one answer after another uses: texts of groups, and memory, because fresh memory costs more than writing. */
export interface AnswerScratch {
  readonly groups: GroupTexts
  readonly latencies: LatencyScratch
}

export function createAnswerScratch(): AnswerScratch {
  return { groups: new WeakMap(), latencies: createLatencyScratch() }
}

/** The whole answer as ASCII JSON. */
export function answerText(
  found: Evaluation,
  frame: AnswerFrame,
  scratch: AnswerScratch,
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
    const text = groupText(fold.groups[group], scratch.groups).node
    out.reserve(text.length)
    if (i > 0) out.literal(comma)
    out.literal(text)
  })
  out.text('],"edges":[')
  const isWanted = new Uint8Array(found.sums.slots)
  for (const slot of slots) isWanted[slot] = 1
  const figures = latencyFigures(found.sums, fold.slotsByAge, isWanted, scratch.latencies)
  const edges = createEdgeTextWriter(fold, found.sums, figures, scratch.groups)
  for (let i = 0; i < slots.length; i++) {
    if (i > 0) out.literal(comma)
    edges.write(out, slots[i])
  }
  out.text(`],"notes":${JSON.stringify([...found.notes, ...frame.notes])}}`)
  return out.finish()
}
