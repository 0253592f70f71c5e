/** Places where a record can be lost; the numbers are those of LossPlace in flow.proto. The list is closed. */
export const lossPlaces = {
  ring_full: 1,
  storage_refused: 2,
  flow_table_full: 3,
  spool_full: 4,
  malformed: 5,
  sequence_gap: 6,
  join_table_full: 7,
  cardinality_cap: 8,
  late: 9,
} as const

export type LossPlace = keyof typeof lossPlaces
