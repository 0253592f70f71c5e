import { createHash } from 'node:crypto'

/**
 * Where the next page of a list starts: after the row with this sort value and id. The cursor pins the range, so that
 * pages of one walk belong together, and the question, so that it isn't used for another one.
 */
export interface EdgeCursor {
  readonly fromMs: number
  readonly toMs: number
  readonly value: number | string
  readonly id: string
}

export function encodeCursor(cursor: EdgeCursor, question: string): string {
  const text = JSON.stringify([1, cursor.fromMs, cursor.toMs, cursor.value, cursor.id, fingerprint(question)])
  return Buffer.from(text).toString('base64url')
}

/** Undefined if it isn't one of ours or belongs to another question. */
export function decodeCursor(text: string, question: string): EdgeCursor | undefined {
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(parts) || parts.length !== 6 || parts[0] !== 1) return undefined
  const [, fromMs, toMs, value, id, print] = parts as unknown[]
  if (!Number.isSafeInteger(fromMs) || !Number.isSafeInteger(toMs)) return undefined
  if (typeof value !== 'number' && typeof value !== 'string') return undefined
  if (typeof id !== 'string' || print !== fingerprint(question)) return undefined
  return { fromMs: fromMs as number, toMs: toMs as number, value, id }
}

/** A short name for a text; tells texts apart, hides nothing. */
export function fingerprint(question: string): string {
  return createHash('sha256').update(question).digest('base64url').slice(0, 12)
}
