import type { Completeness, TopologyAnswer } from './answer.ts'
import { createEdgeHeads } from './edge-heads.ts'
import { createDetailWriter, type EdgeTextWriter } from './edge-text.ts'
import type { Evaluation } from './evaluate.ts'
import { type GroupTexts, groupText } from './group-text.ts'
import { JsonText, literal } from './json-text.ts'
import { createLatencyScratch, type LatencyScratch, latencyFigures } from './latency-figures.ts'
import { allLatencies, type LatencyPlan, mainLatencies } from './latency-plan.ts'
import { writeSaid } from './said-text.ts'
import { SaidOfEdge } from './said-view.ts'
import { createSummaryWriter } from './summary-text.ts'

export interface AnswerFrame {
  readonly fromMs: number
  readonly toMs: number
  readonly isClosed: boolean
  readonly completeness: Completeness
  readonly notes: readonly string[]
}

const comma = literal(',')
const closeBrace = literal('}')
const saidOfEdge = new SaidOfEdge()
const bytesPerEdge = { detail: 1800, summary: 800 }
const bytesPerNode = 250

/** Every counter of an edge, or a summary of it. */
export type AnswerForm = 'detail' | 'summary'

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
  form: AnswerForm,
  scratch: AnswerScratch,
  buffer?: ArrayBuffer,
): Uint8Array<ArrayBuffer> {
  const { fold, groups, slots } = found
  const out = new JsonText(4096 + groups.length * bytesPerNode + slots.length * bytesPerEdge[form], buffer)
  out.text(`{"schemaVersion":"1.0","window":${JSON.stringify(windowOf(frame))},"completeness":`)
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

export function windowOf({ fromMs, toMs, isClosed }: AnswerFrame): TopologyAnswer['window'] {
  return {
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    stepSeconds: 60,
    closed: isClosed,
  }
}

function writeEdges(out: JsonText, found: Evaluation, form: AnswerForm, scratch: AnswerScratch): void {
  const writer = writerOf(found, form, figuresOf(found, form, scratch), scratch)
  const { slots } = found
  for (let i = 0; i < slots.length; i++) {
    if (i > 0) out.literal(comma)
    writer.write(out, slots[i])
  }
}

export function planOf(form: AnswerForm): LatencyPlan {
  return form === 'detail' ? allLatencies : mainLatencies
}

/** Latency figures of all edges of an answer; they hold until others are asked for. */
export function figuresOf(
  { fold, sums, slots }: Evaluation,
  form: AnswerForm,
  scratch: AnswerScratch,
): Float64Array {
  const isWanted = new Uint8Array(sums.slots)
  for (let i = 0; i < slots.length; i++) isWanted[slots[i]] = 1
  return latencyFigures(fold, sums, isWanted, planOf(form), scratch.latencies)
}

/** Writes edges of an answer. */
export function writerOf(
  { fold, sums }: Evaluation,
  form: AnswerForm,
  figures: Float64Array,
  scratch: AnswerScratch,
): EdgeTextWriter {
  const create = form === 'detail' ? createDetailWriter : createSummaryWriter
  const writer = create(fold, sums, figures, scratch.headsOf(fold))
  const { said } = sums
  if (said === undefined) return writer
  return {
    write(out, slot) {
      writer.write(out, slot)
      if (!said.take(slot, saidOfEdge)) return
      // in the place of the brace that ends the edge
      out.at--
      writeSaid(out, saidOfEdge, form)
      out.literal(closeBrace)
    },
  }
}
