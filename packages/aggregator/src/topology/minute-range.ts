/** Minutes that a book is for, from the first one to before the last; it changes while the book is used. */
export interface MinuteRange {
  readonly fromMinute: number
  readonly untilMinute: number
}

/** Without a range every minute is. */
export function isWithin(range: MinuteRange | undefined, minute: number): boolean {
  return range === undefined || (minute >= range.fromMinute && minute < range.untilMinute)
}

export function nearestWithin(range: MinuteRange | undefined, minute: number): number {
  return range === undefined ? minute : Math.min(Math.max(minute, range.fromMinute), range.untilMinute - 1)
}
