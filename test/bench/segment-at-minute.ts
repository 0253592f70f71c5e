import { checksumOf, segmentHeader } from '../../packages/aggregator/src/topology/segment-bytes.ts'

/** The same segment, as if it were of another minute. */
export function segmentAtMinute(segment: Uint8Array, minute: number): Uint8Array {
  const bytes = segment.slice()
  const view = new DataView(bytes.buffer)
  view.setUint32(segmentHeader.fromMinute * 4, minute, true)
  view.setUint32(segmentHeader.checksum * 4, checksumOf(bytes), true)
  return bytes
}
