import type { BatchHeader } from '@skybraid/shared'
import { compactFormat } from './compact-format.ts'
import type { FlowRow } from './flow-row.ts'
import { jsonFormat, ndjsonFormat } from './json-format.ts'
import type { Paint } from './paint.ts'
import { tableFormat } from './table-format.ts'
import type { TapEvent } from './tap-event.ts'

/** Turns records and events into text of whole lines, ended by line breaks. It may remember what it printed. */
export interface LineFormat {
  /** Before everything. */
  head(): string
  /** About a batch as a whole. */
  batch(header: BatchHeader): string
  /** One line per record. */
  rows(rows: readonly FlowRow[]): string
  event(event: TapEvent): string
  /** After everything. */
  tail(): string
}

export const formatNames = ['compact', 'table', 'json', 'ndjson'] as const
export type FormatName = (typeof formatNames)[number]

export function createLineFormat(name: FormatName, paint: Paint): LineFormat {
  if (name === 'table') return tableFormat(paint)
  if (name === 'json') return jsonFormat()
  if (name === 'ndjson') return ndjsonFormat()
  return compactFormat(paint)
}
