import type { Static } from 'typebox'
import { expect, expectTypeOf, it } from 'vitest'
import type {
  FlowView,
  IngestStatus,
  TopologyAnswer,
  TopologyEdge,
  TopologyNode,
} from '../../topology/answer.ts'
import type { flowSchema } from './flow-schema.ts'
import type { ingestStatusSchema } from './status-schema.ts'
import { edgeSchema, type nodeSchema, type topologyAnswerSchema } from './topology-schema.ts'

type ReadonlyDeep<T> = T extends object ? { readonly [K in keyof T]: ReadonlyDeep<T[K]> } : T

/** Each schema describes its interface: what one allows, the other does. */
it('describes what the core answers, field by field', () => {
  expectTypeOf<TopologyNode>().toExtend<ReadonlyDeep<Static<typeof nodeSchema>>>()
  expectTypeOf<ReadonlyDeep<Static<typeof nodeSchema>>>().toExtend<TopologyNode>()
  expectTypeOf<TopologyEdge>().toExtend<ReadonlyDeep<Static<typeof edgeSchema>>>()
  expectTypeOf<ReadonlyDeep<Static<typeof edgeSchema>>>().toExtend<TopologyEdge>()
  expectTypeOf<TopologyAnswer>().toExtend<ReadonlyDeep<Static<typeof topologyAnswerSchema>>>()
  expectTypeOf<ReadonlyDeep<Static<typeof topologyAnswerSchema>>>().toExtend<TopologyAnswer>()
  expectTypeOf<FlowView>().toExtend<ReadonlyDeep<Static<typeof flowSchema>>>()
  expectTypeOf<ReadonlyDeep<Static<typeof flowSchema>>>().toExtend<FlowView>()
  expectTypeOf<IngestStatus>().toExtend<ReadonlyDeep<Static<typeof ingestStatusSchema>>>()
  expectTypeOf<ReadonlyDeep<Static<typeof ingestStatusSchema>>>().toExtend<IngestStatus>()
  expect(Object.keys(edgeSchema.properties)).toContain('observed')
})
