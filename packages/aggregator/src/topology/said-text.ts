import type { AnswerForm } from './answer-text.ts'
import { type JsonText, type Literal, literal } from './json-text.ts'
import { type BlockSums, type SaidOfEdge, saidBlockNames, type ViewSums } from './said-view.ts'

const starts = saidBlockNames.map(name => literal(`,"${name}":{"protocols":`))
const clientText = literal(',"client":{"requests":')
const serverText = literal(',"server":{"requests":')
const errorsText = literal(',"errors":')
const unknownText = literal(',"unknown":')
const requestBytesText = literal(',"requestBytes":')
const responseBytesText = literal(',"responseBytes":')
const statusesText = literal(',"statuses":{"')
const noStatusesText = literal(',"statuses":{}')
const nextStatusText = literal(',"')
const statusEnd = literal('":')
const timeText = literal(',"timeUs":')
const countText = literal(',"firstByteUs":{"count":')
const p50Text = literal(',"firstByteUs":{"p50":')
const quantileTexts = ['p50', 'p90', 'p99', 'max'].map(name => literal(`,"${name}":`))
const p99Text = literal(',"p99":')
const meanFirstText = literal('},"meanFirstByteUs":')
const meanLastText = literal(',"meanLastByteUs":')
const networkText = literal(',"networkUs":')
const closeBrace = literal('}')

/** Of a block and of one end, without protocols and statuses. */
const longestBlock = 2048
const longestStatus = 40

/** Writes the blocks of an edge, each with a comma in front, as `SaidBlock` has them; those of a summary are shorter. */
export function writeSaid(out: JsonText, said: SaidOfEdge, form: AnswerForm): void {
  const writeView = form === 'detail' ? writeDetail : writeShort
  for (let block = 0; block < starts.length; block++)
    if (said.has(block) && said.blocks[block].isSaid) {
      out.reserve(longestBlock)
      out.literal(starts[block])
      writeBlock(out, said.blocks[block], writeView)
    }
}

function writeBlock(
  out: JsonText,
  block: BlockSums,
  writeView: (out: JsonText, view: ViewSums) => void,
): void {
  const { client, server } = block
  out.literal(listText(block.protocols()))
  if (client.requests > 0) {
    out.field(clientText, client.requests)
    writeView(out, client)
  }
  if (server.requests > 0) {
    out.field(serverText, server.requests)
    writeView(out, server)
  }
  const networkUs = block.networkUs()
  if (networkUs !== undefined) out.field(networkText, networkUs)
  out.literal(closeBrace)
}

const lists = new Map<string, Literal>()

/** Lists of names as JSON. There are few, because there are few protocols. */
function listText(names: readonly string[]): Literal {
  const key = names.length === 1 ? names[0] : names.join(' ')
  let text = lists.get(key)
  if (text === undefined) {
    text = literal(JSON.stringify(names))
    lists.set(key, text)
  }
  return text
}

/** What most readers want; what is 0 for most is left out then. */
function writeShort(out: JsonText, view: ViewSums): void {
  out.field(errorsText, view.errors)
  if (view.unknown !== 0) out.field(unknownText, view.unknown)
  if (view.samples > 0) {
    const quantiles = view.quantiles()
    out.field(p50Text, quantiles[0])
    out.field(p99Text, quantiles[2])
    out.literal(closeBrace)
  }
  out.literal(closeBrace)
}

function writeDetail(out: JsonText, view: ViewSums): void {
  out.field(errorsText, view.errors)
  out.field(unknownText, view.unknown)
  out.field(requestBytesText, view.requestBytes)
  out.field(responseBytesText, view.responseBytes)
  writeStatuses(out, view.statuses())
  out.field(timeText, view.lastByteUs)
  if (view.samples > 0) {
    const quantiles = view.quantiles()
    out.field(countText, view.samples)
    for (let q = 0; q < quantileTexts.length; q++) out.field(quantileTexts[q], quantiles[q])
    out.field(meanFirstText, view.meanFirstByteUs)
    out.field(meanLastText, view.meanLastByteUs)
  }
  out.literal(closeBrace)
}

function writeStatuses(out: JsonText, statuses: readonly [number, number][]): void {
  if (statuses.length === 0) {
    out.literal(noStatusesText)
    return
  }
  out.reserve(longestBlock + statuses.length * longestStatus)
  for (let i = 0; i < statuses.length; i++) {
    out.literal(i === 0 ? statusesText : nextStatusText)
    out.integer(statuses[i][0])
    out.field(statusEnd, statuses[i][1])
  }
  out.literal(closeBrace)
}
