import type { UnknownLoss } from './answer.ts'
import { Counter } from './counters.ts'
import type { EdgeView } from './edge-view.ts'
import { type JsonText, literal } from './json-text.ts'

const lossStart = literal(',"loss":{"clientToServer":{')
const lossMiddle = literal(',"serverToClient":{')
const lossEnd = literal('}}}')
const segmentsLost = literal('"segmentsLost":')
const noneLost = literal('"segmentsLost":0,"segmentsCompared":')
const segmentsCompared = literal(',"segmentsCompared":')
const closeBrace = literal('}')
const comma = literal(',')
const unknownTexts = {
  one_end_only: literal('"unknown":"one_end_only"}'),
  not_yet_quiet: literal('"unknown":"not_yet_quiet"}'),
  segments_coalesced: literal('"unknown":"segments_coalesced"}'),
} satisfies Record<UnknownLoss, unknown>
// looked up by name once
const c = { ...Counter }

/** Writes the loss in both directions, and closes the edge. `row` is where its counters begin. */
export function writeLoss(out: JsonText, counters: Float64Array, row: number, view: EdgeView): void {
  const why = whyUnknown(counters, row, view)
  out.literal(lossStart)
  writeDirection(
    out,
    counters[row + c.clientToServerLost],
    counters[row + c.clientToServerCompared],
    counters[row + c.clientDataSegmentsSent],
    why,
  )
  out.literal(lossMiddle)
  writeDirection(
    out,
    counters[row + c.serverToClientLost],
    counters[row + c.serverToClientCompared],
    counters[row + c.serverDataSegmentsSent],
    why,
  )
  out.literal(lossEnd)
}

function writeDirection(
  out: JsonText,
  lost: number,
  compared: number,
  sent: number,
  why: UnknownLoss | undefined,
): void {
  // where both ends are known and one sent no data, nothing of it was lost
  const isCompared = compared > 0 || (why === undefined && sent === 0)
  if (isCompared) {
    if (lost === 0) out.field(noneLost, compared)
    else {
      out.field(segmentsLost, lost)
      out.field(segmentsCompared, compared)
    }
  }
  const reason = why ?? (isCompared ? undefined : 'not_yet_quiet')
  if (isCompared && reason) out.literal(comma)
  out.literal(reason ? unknownTexts[reason] : closeBrace)
}

/** The strongest reason why some connections are not in the loss figures; undefined if none is known. */
function whyUnknown(counters: Float64Array, row: number, view: EdgeView): UnknownLoss | undefined {
  if (counters[row + c.lossCoalesced] > 0) return 'segments_coalesced'
  if (!view.hasClient || !view.hasServer) return 'one_end_only'
  const oneSided = counters[row + c.openedClientOnly] + counters[row + c.openedServerOnly]
  return oneSided > 0 ? 'one_end_only' : undefined
}
