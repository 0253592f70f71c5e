import { batchLimits, decodeFlowBatch, type FlowColumns } from '@skybraid/shared'
import { decodeFlowPayload, sniffFlowEncoding } from '@skybraid/shared/flow-body'

/** What a payload takes at most, whether it is a batch or one compressed. */
export const payloadLimitBytes = batchLimits.messageBytes

const reasons: Readonly<Record<string, string>> = {
  truncated: 'it ends in the middle of a field',
  too_large: 'it is larger than a batch may be',
  unknown_version: 'its schema version is not 1, so it is no batch or one of a newer version',
  column_length: 'a column has not one value per record',
  record_count: 'it says it has more than 1,000 records',
  owner_index: 'a record refers to an owner that is not in it',
  address_index: 'a record refers to an address that is not in it',
  operation_index: 'a row of what was said refers to a record or an operation that is not in it',
  bucket_count: 'its histograms do not add up',
  time_out_of_range: 'a time in it is not within its minute, or not between 2020 and 2100',
  bad_value: 'a field has a value that cannot be',
}

/**
 * Decodes one payload, a batch or a zstd frame of one, into `columns`. Answers why it was refused, as the end of a
 * sentence, or undefined.
 */
export function readFlowPayload(payload: Uint8Array, columns: FlowColumns): string | undefined {
  columns.count = 0
  if (payload.length === 0) return 'it is empty'
  const isCompressed = sniffFlowEncoding(payload) === 'zstd'
  const data = decodeFlowPayload(payload, isCompressed ? 'zstd' : 'raw', batchLimits.messageBytes)
  if (data === undefined) {
    return isCompressed
      ? 'it is no whole zstd frame, or one of more than a batch may have'
      : reasons.too_large
  }
  const result = decodeFlowBatch(data, columns)
  return result.ok ? undefined : reasons[result.reason]
}
