interface Span<Holder> {
  readonly holder: Holder
  fromMs: number
  untilMs: number
}

/** Who had what (a port, a name) over time. Names nobody where two had it: nothing is guessed. */
export interface TimeHolds<Key, Holder> {
  /** From now on the holder has exactly these; what changed, changed between `sinceMs` and `seenMs`. */
  settle(holder: Holder, keys: readonly Key[], sinceMs: number, seenMs: number): void
  at(key: Key, atMs: number): Holder | undefined
  /** Forgets holders that are not kept, and what ended before a time. */
  keep(isKept: (holder: Holder) => boolean, beforeMs: number): void
}

export function createTimeHolds<Key, Holder>(): TimeHolds<Key, Holder> {
  const spans = new Map<Key, Span<Holder>[]>()
  const held = new Map<Holder, readonly Key[]>()

  function isOpen({ untilMs }: Span<Holder>): boolean {
    return untilMs === Number.POSITIVE_INFINITY
  }

  return {
    settle(holder, keys, sinceMs, seenMs) {
      for (const key of held.get(holder) ?? []) {
        if (keys.includes(key)) continue
        for (const span of spans.get(key)!) if (span.holder === holder && isOpen(span)) span.untilMs = seenMs
      }
      for (const key of keys) {
        const all = spans.get(key) ?? []
        if (all.some(span => span.holder === holder && isOpen(span))) continue
        spans.set(key, [...all, { holder, fromMs: sinceMs, untilMs: Number.POSITIVE_INFINITY }])
      }
      if (keys.length > 0) held.set(holder, keys)
      else held.delete(holder)
    },
    at(key, atMs) {
      const all = spans.get(key)?.filter(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs) ?? []
      return all.every(({ holder }) => holder === all[0]!.holder) ? all[0]?.holder : undefined
    },
    keep(isKept, beforeMs) {
      for (const [key, all] of spans) {
        const left = all.filter(({ holder, untilMs }) => untilMs >= beforeMs && isKept(holder))
        if (left.length > 0) spans.set(key, left)
        else spans.delete(key)
      }
      for (const holder of held.keys()) if (!isKept(holder)) held.delete(holder)
    },
  }
}
