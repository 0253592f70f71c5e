import type { OperationsAnswer, OperationView } from './answer.ts'
import { type AnswerFrame, type AnswerScratch, windowOf } from './answer-text.ts'
import type { Evaluation } from './evaluate.ts'
import type { RangeParts } from './range-sums.ts'
import { l7ProtocolName, mostOperations, otherOf, SaidRows, saidSumCount } from './said-rows.ts'
import { addSaidRow } from './said-segment.ts'
import { blockOf, type SaidPlace, saidBlock } from './said-view.ts'

export interface OperationsFilter {
  /** Only this edge. */
  readonly edge?: string
  /** Only edges with an end of this node id or name. */
  readonly service?: string
}

export function operationsAnswer(
  found: Evaluation,
  filter: OperationsFilter,
  frame: AnswerFrame,
  { headsOf }: AnswerScratch,
): OperationsAnswer {
  const heads = headsOf(found.fold)
  return {
    window: windowOf(frame),
    completeness: frame.completeness,
    groupBy: found.fold.groupBy,
    operations: operationsOf(found, filter, slot => JSON.parse(heads.idText(slot))),
    notes: [...found.notes, ...frame.notes],
  }
}

/** All operations of the edges that are wanted and may be told of, those that took the longest altogether first. */
function operationsOf(
  found: Evaluation,
  filter: OperationsFilter,
  idOf: (slot: number) => string,
): OperationView[] {
  const { fold, sums } = found
  const isWanted = wantedSlots(found, filter, idOf)
  const rows = new SaidRows(Number.MAX_SAFE_INTEGER)
  addParts(rows, sums.parts, fold.slotOf, isWanted)
  const views: OperationView[] = []
  for (const [slot, operations] of bySlot(rows)) {
    const edge = idOf(slot)
    const [source, target] = [fold.groups[fold.source[slot]].id, fold.groups[fold.target[slot]].id]
    for (const { operation, places } of capped(operations)) {
      const block = saidBlock(places)
      if (block === undefined) continue
      const { protocols: _protocols, ...ends } = block
      const { protocol, name, host } = operation
      views.push({
        edge,
        source,
        target,
        block: blockOf(protocol),
        protocol: l7ProtocolName(protocol),
        operation: name,
        ...(host !== '' && { host }),
        ...ends,
      })
    }
  }
  return views.sort(compareOperations)
}

function wantedSlots(
  { fold, sums, slots }: Evaluation,
  { edge, service }: OperationsFilter,
  idOf: (slot: number) => string,
) {
  const isWanted = new Uint8Array(sums.slots)
  const isOfService = fold.groups.map(
    ({ id, name }) => service === undefined || id === service || name === service,
  )
  for (const slot of slots) {
    // routes, statements and names would say what the hidden are
    if (fold.isHidden(slot)) continue
    if (!isOfService[fold.source[slot]] && !isOfService[fold.target[slot]]) continue
    if (edge === undefined || idOf(slot) === edge) isWanted[slot] = 1
  }
  return isWanted
}

function addParts(
  rows: SaidRows,
  { segments, open }: RangeParts,
  slotOf: Int32Array,
  isWanted: Uint8Array,
): void {
  for (const { said } of segments) {
    if (said === undefined) continue
    const numbers = said.operations.map(operation => rows.operation(operation))
    for (let at = 0; at < said.edges.length; at++) {
      const slot = slotOf[said.edges[at]]
      if (isWanted[slot] === 0) continue
      addSaidRow(
        rows,
        rows.row(slot, numbers[said.operation[at]], said.status[at], said.flags[at]),
        said,
        at,
        1,
      )
    }
  }
  for (const { said } of open) {
    if (said === undefined) continue
    const numbers = said.operations.map(operation => rows.operation(operation))
    for (let at = 0; at < said.rowCount; at++) {
      const slot = slotOf[said.edgeOf(at)]
      if (isWanted[slot] === 0) continue
      addOpenRow(
        rows,
        rows.row(slot, numbers[said.operationOf(at)], said.statusOf(at), said.flagsOf(at)),
        said,
        at,
      )
    }
  }
}

interface OfOperation {
  readonly operation: { readonly protocol: number; readonly name: string; readonly host: string }
  readonly places: SaidPlace[]
  timeUs: number
}

function bySlot(rows: SaidRows): Map<number, Map<number, OfOperation>> {
  const slots = new Map<number, Map<number, OfOperation>>()
  for (let row = 0; row < rows.rowCount; row++) {
    const operations = slots.get(rows.edgeOf(row)) ?? new Map<number, OfOperation>()
    slots.set(rows.edgeOf(row), operations)
    const number = rows.operationOf(row)
    const of = operations.get(number) ?? { operation: rows.operations[number], places: [], timeUs: 0 }
    of.places.push({ rows, row })
    of.timeUs += rows.sums[row * saidSumCount + 4]
    operations.set(number, of)
  }
  return slots
}

/** At most so many of a protocol; those that took the least are one. */
function capped(operations: Map<number, OfOperation>): OfOperation[] {
  const kept: OfOperation[] = []
  const byProtocol = Map.groupBy(operations.values(), ({ operation }) => operation.protocol)
  for (const [protocol, list] of byProtocol) {
    const other = list.find(({ operation }) => operation.name === otherOf(protocol).name)
    const named = list.filter(each => each !== other).sort((a, b) => b.timeUs - a.timeUs)
    kept.push(...named.slice(0, mostOperations))
    const rest = [...named.slice(mostOperations), ...(other ? [other] : [])]
    if (rest.length > 0)
      kept.push({ operation: otherOf(protocol), places: rest.flatMap(({ places }) => places), timeUs: 0 })
  }
  return kept
}

/** Longest altogether first, as the client saw it where it did. */
function compareOperations(a: OperationView, b: OperationView): number {
  return timeOf(b) - timeOf(a) || (keyOf(a) < keyOf(b) ? -1 : 1)
}

function timeOf({ client, server }: OperationView): number {
  return (client ?? server)?.timeUs ?? 0
}

function keyOf({ edge, protocol, operation, host }: OperationView): string {
  return `${edge}\n${protocol}\n${operation}\n${host ?? ''}`
}

/** Adds the sums and buckets of one row to a row. */
function addOpenRow(into: SaidRows, row: number, said: SaidRows, at: number): void {
  for (let sum = 0; sum < saidSumCount; sum++) into.add(row, sum, said.sums[at * saidSumCount + sum])
  said.eachBucket(at, (slot, count) => into.addBucket(row, slot, count))
}
