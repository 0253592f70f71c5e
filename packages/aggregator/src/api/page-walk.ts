import { decodeCursor, type EdgeCursor } from './cursor.ts'
import { invalidParameters, type RequestProblem } from './problem.ts'
import type { TimeRange } from './time-range.ts'

/**
 * What a cursor belongs to: everything that was asked except the page's size and place. `list` tells lists apart that
 * can be asked alike.
 */
export function questionOf(
  given: { readonly cursor?: unknown; readonly limit?: unknown },
  ...list: readonly string[]
): string {
  const { cursor: _cursor, limit: _limit, ...question } = given
  return JSON.stringify([...list, ...Object.entries(question).sort(([a], [b]) => (a < b ? -1 : 1))])
}

/** Undefined on the first page. Throws what is answered to a cursor of another question. */
export function cursorOf(text: string | undefined, question: string): EdgeCursor | undefined {
  if (text === undefined) return undefined
  const cursor = decodeCursor(text, question)
  if (cursor === undefined) throw badCursor()
  return cursor
}

/** The range of the walk, which its first page settles. */
export function walkRange(cursor: EdgeCursor | undefined, asked: TimeRange, maxRangeMs: number): TimeRange {
  if (cursor === undefined) return asked
  const { fromMs, toMs } = cursor
  if (toMs - fromMs > maxRangeMs) throw badCursor()
  return { fromMs, toMs, relative: false }
}

export function badCursor(): RequestProblem {
  return invalidParameters([
    { parameter: 'cursor', detail: 'does not belong to this question; start without it' },
  ])
}

/** The value of a Link header that leads to the next page. */
export function linkToNext(url: string, cursor: string): string {
  const next = new URL(url, 'http://localhost')
  next.searchParams.set('cursor', cursor)
  return `<${next.pathname}${next.search}>; rel="next"`
}
