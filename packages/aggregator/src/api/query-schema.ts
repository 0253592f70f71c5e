import Type from 'typebox'
import { groupBySchema } from './schema/topology-schema.ts'

/** Query parameters that several routes share. */

const timeText = (description: string) => Type.Optional(Type.String({ maxLength: 40, description }))

export const windowParameter = {
  window: timeText('length of the window, whole minutes: 5m (default), 120s, 2h'),
}

export const timeParameters = {
  ...windowParameter,
  from: timeText('start: RFC 3339 or unix milliseconds; widened to the whole minute'),
  to: timeText('end, exclusive: RFC 3339 or unix milliseconds; the running minute if absent'),
  at: timeText('end of the window: RFC 3339 or unix milliseconds'),
}

export const defaultLimit = 500
export const maxLimit = 5000

export const endParameters = {
  namespace: Type.Optional(
    Type.Array(Type.String({ pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$' }), {
      maxItems: 100,
      description: 'only edges with an end in one of these namespaces; repeat it for several',
    }),
  ),
  labels: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      description: 'only edges with an end whose pod has such labels: a selector, as app=web,tier!=db',
    }),
  ),
}

export const graphParameters = {
  ...endParameters,
  groupBy: Type.Optional(groupBySchema),
  protocol: Type.Optional(Type.Enum(['tcp', 'udp'])),
  minBytes: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'only edges that carried as much',
    }),
  ),
}

export const focusParameters = {
  focus: Type.Optional(
    Type.String({ minLength: 1, maxLength: 512, description: 'id of the node to look around' }),
  ),
  depth: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 3, description: 'steps from focus; 1 if absent' }),
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxLimit,
      description: 'most nodes; over it the next coarser grouping is answered and notes says so',
    }),
  ),
}

export const includeParameter = {
  include: Type.Optional(
    Type.Enum(['detail'], { description: 'detail: every counter of each edge; a summary of it if absent' }),
  ),
}
