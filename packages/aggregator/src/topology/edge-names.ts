import type { EntityIndex } from '../resolve/entity-index.ts'
import type { EdgeTable } from './edge-table.ts'
import type { EdgeNames } from './segment-bytes.ts'

/** What a segment's bytes say about its edges, as it was known at a time. */
export function edgeNames(edges: EdgeTable, index: EntityIndex, atMs: number): EdgeNames {
  return {
    edge: e => ({
      client: edges.client[e],
      server: edges.server[e],
      via: edges.via[e],
      viaPort: edges.viaPort[e],
      protocol: edges.protocol[e],
      port: edges.port[e],
    }),
    entity: id => index.entity(id)!,
    knowledge: id => index.knowledge(id, atMs),
  }
}
