import { columnStart, Kind, Protocol, State } from '@skybraid/shared'
import { Counter } from '../topology/counters.ts'
import { Head, HeadSide, headSideAt, Side, SideFlag, SlotClass, SlotFlag, sideAt } from './slot-layout.ts'

// Everything below is a plain constant of this file: only those are compiled into the loops as numbers.
const { atMs, ageMs, srttUs, handshakeUs, minRttUs, diallerIsn, acceptorIsn, flowId } = columnStart
const { bytesSent, bytesReceived, segmentsSent, segmentsReceived, bytesSentTotal, bytesReceivedTotal } =
  columnStart
const { dataSegmentsSent, dataSegmentsReceived, retransmittedSegments, kind: kindColumn } = columnStart
const { dataSegmentsSentTotal, dataSegmentsReceivedTotal, retransmittedSegmentsTotal } = columnStart
const { adopted, roleShift } = Kind
const openTcp = Protocol.tcp | (State.open << Kind.stateShift)
const unusualBits =
  Kind.protocolMask |
  (Kind.stateMask << Kind.stateShift) |
  Kind.announcedAgain |
  (Kind.samplingMask << Kind.samplingShift)
const joinedTcp = SlotClass.tcp | (SlotFlag.present * 3)
const usualSlotBits = SlotFlag.classMask | (SlotFlag.present * 3) | SlotFlag.expired | SlotFlag.sampled
const { ended, sawOpen, openedMsShift } = SideFlag
const { keyA, keyB, flags: headFlags, ring: headRing } = Head
const clientAt = sideAt(0)
const sideStride = sideAt(1) - sideAt(0)
const { flowHigh, session, flags: sideFlags, lastAt, opened, srttUs: latestSrttUs } = Side
const { dataSentTotal, dataReceivedTotal, retransmittedTotal } = Side
const { segmentsSent: sumSegmentsSent, segmentsReceived: sumSegmentsReceived } = Side
const { sentLow, sentHigh, receivedLow, receivedHigh } = Side
const { lossDiff, lossSent } = HeadSide
const headClientAt = headSideAt(0)
const headSideStride = headSideAt(1) - headSideAt(0)
const { compared } = SlotFlag
const comparedBits = SlotFlag.compared | SlotFlag.coalesced
const { clientToServerLost, clientToServerCompared } = Counter
const lossStride = Counter.serverToClientLost - Counter.clientToServerLost

/** An open TCP connection's reading that says nothing else. */
export function isUsual(columns: Uint32Array, i: number): boolean {
  return (
    (columns[kindColumn + i] & unusualBits) === openTcp &&
    (columns[handshakeUs + i] | columns[minRttUs + i]) === 0
  )
}

/** Whether the slot is that of the record's sequence numbers, either way round. */
export function isOfRecord(words: Uint32Array, start: number, columns: Uint32Array, i: number): boolean {
  const dialler = columns[diallerIsn + i]
  const acceptor = columns[acceptorIsn + i]
  const a = words[start + keyA]
  const b = words[start + keyB]
  return (a === dialler && b === acceptor) || (a === acceptor && b === dialler)
}

/** Which side of a joined connection without an end the record is from, reported by the same boot as before; -1 if none. */
export function sideOf(
  words: Uint32Array,
  start: number,
  columns: Uint32Array,
  i: number,
  batchSession: number,
): number {
  if ((words[start + headFlags] & usualSlotBits) !== joinedTcp || words[start + headRing] !== 0) return -1
  const first = (columns[kindColumn + i] >>> (roleShift + 1)) & 1
  if (isFlow(words, start + clientAt + first * sideStride, columns, i, batchSession)) return first
  return isFlow(words, start + clientAt + (1 - first) * sideStride, columns, i, batchSession) ? 1 - first : -1
}

function isFlow(
  words: Uint32Array,
  s: number,
  columns: Uint32Array,
  i: number,
  batchSession: number,
): boolean {
  return (
    words[s] === columns[flowId + 2 * i] &&
    words[s + flowHigh] === columns[flowId + 2 * i + 1] &&
    words[s + session] === batchSession
  )
}

/** Whether the record is a later reading of the flow, which has not ended, and tells nothing new about its beginning. */
export function isNext(
  words: Uint32Array,
  s: number,
  columns: Uint32Array,
  i: number,
  baseMs: number,
): boolean {
  const flags = words[s + sideFlags]
  if ((flags & ended) !== 0) return false
  if (((columns[kindColumn + i] & adopted) | (flags & sawOpen)) === 0) return false
  const readMs = baseMs + columns[atMs + i]
  if ((((readMs >>> 0) - words[s + lastAt]) | 0) <= 0) return false
  return readMs - columns[ageMs + i] >= words[s + opened] * 1000 + (flags >>> openedMsShift)
}

/** Whether the totals continue where the flow's latest ones ended, without any of them starting over at 2^32. */
export function goesOn(words: Uint32Array, s: number, columns: Uint32Array, i: number): boolean {
  return (
    continues(words, s + sentLow, columns, bytesSentTotal + 2 * i, columns[bytesSent + i]) &&
    continues(words, s + receivedLow, columns, bytesReceivedTotal + 2 * i, columns[bytesReceived + i]) &&
    follows(words[s + dataSentTotal], columns[dataSegmentsSent + i], columns[dataSegmentsSentTotal + i]) &&
    follows(
      words[s + dataReceivedTotal],
      columns[dataSegmentsReceived + i],
      columns[dataSegmentsReceivedTotal + i],
    ) &&
    follows(
      words[s + retransmittedTotal],
      columns[retransmittedSegments + i],
      columns[retransmittedSegmentsTotal + i],
    ) &&
    fits(words[s + sumSegmentsSent], columns[segmentsSent + i]) &&
    fits(words[s + sumSegmentsReceived], columns[segmentsReceived + i])
  )
}

/** Totals of 64 bits in two words, the low one first: whether the one in the columns is the other plus `more`. */
function continues(words: Uint32Array, at: number, columns: Uint32Array, to: number, more: number): boolean {
  const low = (words[at] + more) >>> 0
  return low === columns[to] && words[at + 1] + (low < more ? 1 : 0) === columns[to + 1]
}

function follows(total: number, more: number, next: number): boolean {
  return (total + more) >>> 0 === next && next >= more
}

function fits(sum: number, more: number): boolean {
  return (sum + more) >>> 0 >= more
}

export function takeReading(
  words: Uint32Array,
  s: number,
  columns: Uint32Array,
  i: number,
  baseMs: number,
): void {
  words[s + lastAt] = (baseMs + columns[atMs + i]) >>> 0
  words[s + sumSegmentsSent] += columns[segmentsSent + i]
  words[s + sumSegmentsReceived] += columns[segmentsReceived + i]
  words[s + dataSentTotal] = columns[dataSegmentsSentTotal + i]
  words[s + dataReceivedTotal] = columns[dataSegmentsReceivedTotal + i]
  words[s + retransmittedTotal] = columns[retransmittedSegmentsTotal + i]
  words[s + sentLow] = columns[bytesSentTotal + 2 * i]
  words[s + sentHigh] = columns[bytesSentTotal + 2 * i + 1]
  words[s + receivedLow] = columns[bytesReceivedTotal + 2 * i]
  words[s + receivedHigh] = columns[bytesReceivedTotal + 2 * i + 1]
  const srtt = columns[srttUs + i]
  if (srtt !== 0) words[s + latestSrttUs] = srtt
}

/**
 * Both ends are quiet: where the other end received all bytes that one sent, their segments are compared, as they were
 * before. False where they were not, or can't be: that is for `SegmentLoss`, which would do the same as this.
 */
export function compareAgain(
  words: Uint32Array,
  start: number,
  side: number,
  counters: Float64Array,
  row: number,
): boolean {
  const from = start + clientAt + side * sideStride
  const to = start + clientAt + (1 - side) * sideStride
  if (
    words[from + sentLow] !== words[to + receivedLow] ||
    words[from + sentHigh] !== words[to + receivedHigh]
  )
    return true
  if ((words[start + headFlags] & (comparedBits << side)) !== compared << side) return false
  const sent = words[from + dataSentTotal]
  const lost = (sent - words[to + dataReceivedTotal]) >>> 0
  if (lost > words[from + retransmittedTotal]) return false
  const h = start + headClientAt + side * headSideStride
  const more = (lost - words[h + lossDiff]) | 0
  if (more !== 0) counters[row + clientToServerLost + side * lossStride] += more
  counters[row + clientToServerCompared + side * lossStride] += (sent - words[h + lossSent]) >>> 0
  words[h + lossDiff] = lost
  words[h + lossSent] = sent
  return true
}
