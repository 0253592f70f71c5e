import Type from 'typebox'
import { operationSchema } from './operation-schema.ts'
import { completenessSchema, edgeSchema, groupBySchema, windowSchema } from './topology-schema.ts'

const strict = { additionalProperties: false } as const

const frame = {
  window: windowSchema,
  completeness: completenessSchema,
  groupBy: groupBySchema,
  notes: Type.Array(Type.String()),
}

export const operationListSchema = Type.Object(
  {
    ...frame,
    total: Type.Integer({ description: 'operations that match, over all pages' }),
    operations: Type.Array(operationSchema),
    nextCursor: Type.Optional(Type.String({ description: 'absent on the last page' })),
  },
  { ...strict, $id: 'OperationList', title: 'OperationList' },
)

export const edgeDetailSchema = Type.Object(
  {
    ...frame,
    edge: edgeSchema,
    operations: Type.Array(operationSchema, { description: 'the longest altogether first' }),
  },
  { ...strict, $id: 'EdgeDetail', title: 'EdgeDetail' },
)
