import { LRUCache } from 'lru-cache'
import type { EntityIndex } from '../resolve/entity-index.ts'
import type { EdgeTable } from './edge-table.ts'
import { createFold, type Fold, type FoldRequest } from './fold.ts'

const maxFolds = 12

/** Folds by grouping and by state of the names; a fold grows with the edges as long as the names stay. */
export interface FoldCache {
  get(request: FoldRequest): Fold
  /** Ids of edges or entities were freed and may mean something else from now on. */
  clear(): void
}

export function createFoldCache(edges: EdgeTable, index: EntityIndex): FoldCache {
  const folds = new LRUCache<string, Fold>({ max: maxFolds })
  return {
    get(request) {
      // equal in total and up to a time: the very same changes count for that time
      const names = `${index.revision()}.${index.revisionAt(request.atMs)}`
      const filter = request.filter ? JSON.stringify(request.filter) : ''
      const scope = request.scope ? JSON.stringify(request.scope) : ''
      const key = `${request.groupBy} ${request.joinsOutside} ${names} ${filter} ${scope}`
      let fold = folds.get(key)
      if (!fold) {
        fold = createFold(edges, index, request)
        folds.set(key, fold)
      }
      fold.extend()
      return fold
    },
    clear: () => folds.clear(),
  }
}
