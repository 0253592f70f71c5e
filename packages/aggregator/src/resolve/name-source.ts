import type { Entity, Group, GroupBy } from './entity.ts'

/**
 * Something that can name entities better than the kernel alone, for example a Kubernetes watch. Sources are asked in
 * order, the first answer counts. A source answers from what it holds: it never waits.
 */
export interface NameSource {
  /** What an entity is folded into at a time (Unix milliseconds); undefined if this source does not know it. */
  group(entity: Entity, groupBy: GroupBy, atMs: number): Group | undefined
  /** Grows whenever an answer may have changed. */
  revision(): number
}
