import {
  Cold,
  coldSideAt,
  Head,
  HeadSide,
  headSideAt,
  receivedAt,
  Side,
  SlotClass,
  SlotFlag,
  sentAt,
  sideAt,
} from './slot-layout.ts'
import type { WideSums } from './wide-sums.ts'

/** The sums of a flow for the list of flows, in the order of a record's amounts. */
export const FlowSum = {
  bytesSent: 0,
  bytesReceived: 1,
  segmentsSent: 2,
  segmentsReceived: 3,
  dataSent: 4,
  dataReceived: 5,
  retransmitted: 6,
} as const

/** The words of one slot, in the table or in the ring of ended flows. */
export interface SlotWords {
  readonly words: Uint32Array
  readonly start: number
  readonly cold: number
}

/**
 * What came of a flow, as far as its slot tells: where a record has a total, the sum is that total less a base, so that
 * records that follow each other leave the base alone. What exceeds 32 bits is in `WideSums`.
 */
export function narrowSum({ words, start, cold }: SlotWords, side: number, sum: number): number {
  const at = wordOf(start, cold, side, sum)
  const total = totalOf(words, start, side, sum)
  return total < 0 ? words[at] : total - words[at]
}

/** Makes a sum of a flow a whole number, whatever its total is by now. */
export function setSum(
  slot: SlotWords,
  side: number,
  sum: number,
  value: number,
  wide: WideSums,
  flow: number,
): void {
  const { words, start, cold } = slot
  const at = wordOf(start, cold, side, sum)
  const total = totalOf(words, start, side, sum)
  words[at] = total < 0 ? value : total - value
  wide.set(flow, sum, value - narrowSum(slot, side, sum))
}

/** The word that belongs to the sum: the sum itself, or its base. */
function wordOf(start: number, cold: number, side: number, sum: number): number {
  switch (sum) {
    case FlowSum.bytesSent:
      return cold + coldSideAt(side) + Cold.sentBase
    case FlowSum.bytesReceived:
      return cold + coldSideAt(side) + Cold.receivedBase
    case FlowSum.segmentsSent:
      return start + sideAt(side) + Side.segmentsSent
    case FlowSum.segmentsReceived:
      return start + sideAt(side) + Side.segmentsReceived
    case FlowSum.dataSent:
      return start + headSideAt(side) + HeadSide.dataSentBase
    case FlowSum.dataReceived:
      return start + headSideAt(side) + HeadSide.dataReceivedBase
    default:
      return cold + coldSideAt(side) + Cold.retransmittedBase
  }
}

/** The total that the sum has a base below; -1 where there is none. */
function totalOf(words: Uint32Array, start: number, side: number, sum: number): number {
  const s = start + sideAt(side)
  if (sum === FlowSum.bytesSent) return sentAt(words, s)
  if (sum === FlowSum.bytesReceived) return receivedAt(words, s)
  const isUdp = (words[start + Head.flags] & SlotFlag.classMask) === SlotClass.udp
  if (isUdp || sum === FlowSum.segmentsSent || sum === FlowSum.segmentsReceived) return -1
  if (sum === FlowSum.dataSent) return words[s + Side.dataSentTotal]
  return words[s + (sum === FlowSum.dataReceived ? Side.dataReceivedTotal : Side.retransmittedTotal)]
}
