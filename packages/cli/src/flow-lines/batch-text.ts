import type { BatchHeader } from '@skybraid/shared'
import { printable } from '../printable.ts'
import { dayAndTime } from './flow-text.ts'
import { lossName } from './loss-name.ts'

/** A batch in one line: whose it is, which one, and how much is in it. */
export function batchText(header: BatchHeader): string {
  const parts = [
    `batch of ${printable(header.node, 63)}`,
    ...(header.cluster === '' ? [] : [`cluster ${printable(header.cluster, 63)}`]),
    `boot ${header.bootId}`,
    `partition ${header.partition}`,
    `sequence ${header.sequence}`,
    `${header.recordCount} records of the minute ${dayAndTime(header.baseUnixMs).slice(0, -7)}`,
    `${header.owners.length} owners`,
    `${header.names.length} DNS names`,
  ]
  if (header.sampling > 0) parts.push(`one of ${2 ** header.sampling} connections followed`)
  if (header.minuteComplete) parts.push('minute complete')
  if (header.cleanStop) parts.push('clean stop')
  for (const { place, records } of header.losses) parts.push(`lost at ${lossName(place)}: ${records}`)
  return parts.join(', ')
}
