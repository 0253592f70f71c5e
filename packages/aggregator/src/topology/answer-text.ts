import type { Completeness } from './answer.ts'
import { createEdgeHeads } from './edge-heads.ts'
import { createDetailWriter, type EdgeTextWriter } from './edge-text.ts'
import type { Evaluation } from './evaluate.ts'
import { type GroupTexts, groupText } from './group-text.ts'
import { JsonText, literal } from './json-text.ts'
import {
  allLatencies,
  createLatencyScratch,
  type LatencyScratch,
  latencyFigures,
  mainLatencies,
} from './latency-figures.ts'
import { createSummaryWriter } from './summary-text.ts'

export interface AnswerFrame {
  readonly fromMs: number
  readonly toMs: number
  readonly isClosed: boolean
  readonly completeness: Completeness
  readonly notes: readonly string[]
}

const comma = literal(',')
const bytesPerEdge = { detail: 1800, summary: 800 }
const bytesPerNode = 250

/** What one answer after another uses: texts that were made before, and memory, because fresh memory costs more. */
export interface AnswerScratch {
  readonly headsOf: ReturnType<typeof createEdgeHeads>
  readonly groups: GroupTexts
  readonly latencies: LatencyScratch
}

export function createAnswerScratch(): AnswerScratch {
  return { headsOf: createEdgeHeads(), groups: new WeakMap(), latencies: createLatencyScratch() }
}

/** The whole answer as ASCII JSON, with every counter of an edge or with a summary of it. */
export function answerText(
  found: Evaluation,
  frame: AnswerFrame,
  form: 'detail' | 'summary',
  scratch: AnswerScratch,
  buffer?: ArrayBuffer,
): Uint8Array<ArrayBuffer> {
  const { fold, groups, slots } = found
  const out = new JsonText(4096 + groups.length * bytesPerNode + slots.length * bytesPerEdge[form], buffer)
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
    out.reserve(text.words.length * 8)
    if (i > 0) out.literal(comma)
    out.literal(text)
  })
  out.text('],"edges":[')
  writeEdges(out, found, form, scratch)
  out.text(`],"notes":${JSON.stringify([...found.notes, ...frame.notes])}}`)
  return out.finish()
}

function writeEdges(
  out: JsonText,
  { fold, sums, slots }: Evaluation,
  form: 'detail' | 'summary',
  scratch: AnswerScratch,
): void {
  const writer = edgeWriter(fold, sums, slots, form, scratch)
  for (let i = 0; i < slots.length; i++) {
    if (i > 0) out.literal(comma)
    writer.write(out, slots[i])
  }
}

/** A writer of these slots, and of no others. */
export function edgeWriter(
  fold: Evaluation['fold'],
  sums: Evaluation['sums'],
  slots: Evaluation['slots'],
  form: 'detail' | 'summary',
  scratch: AnswerScratch,
): EdgeTextWriter {
  const isWanted = new Uint8Array(sums.slots)
  for (let i = 0; i < slots.length; i++) isWanted[slots[i]] = 1
  const plan = form === 'detail' ? allLatencies : mainLatencies
  const figures = latencyFigures(fold, sums, isWanted, plan, scratch.latencies)
  const create = form === 'detail' ? createDetailWriter : createSummaryWriter
  return create(fold, sums, figures, scratch.headsOf(fold))
}
