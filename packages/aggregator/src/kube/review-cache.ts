import { LRUCache } from 'lru-cache'

export interface ReviewCacheOptions<T> {
  readonly max: number
  readonly nowMs: () => number
  /** How long an answer holds, milliseconds. */
  readonly keepMs: (answer: T) => number
}

/** Answers for a while; who asks while the same is being asked waits with it. A question that fails is not kept. */
export interface ReviewCache<T> {
  get(key: string, ask: () => Promise<T>): Promise<T>
}

interface Entry<T> {
  readonly answer: Promise<T>
  untilMs: number
}

export function createReviewCache<T>({ max, nowMs, keepMs }: ReviewCacheOptions<T>): ReviewCache<T> {
  const entries = new LRUCache<string, Entry<T>>({ max })
  return {
    get(key, ask) {
      const known = entries.get(key)
      if (known && nowMs() < known.untilMs) return known.answer
      const entry: Entry<T> = { answer: ask(), untilMs: Number.POSITIVE_INFINITY }
      entries.set(key, entry)
      entry.answer.then(
        answer => {
          entry.untilMs = nowMs() + keepMs(answer)
        },
        () => {
          if (entries.peek(key) === entry) entries.delete(key)
        },
      )
      return entry.answer
    },
  }
}
