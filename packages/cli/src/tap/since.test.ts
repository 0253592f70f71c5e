import { describe, expect, it } from 'vitest'
import { parseSince } from './since.ts'

const now = Date.UTC(2026, 10, 27, 2)

describe('parseSince', () => {
  it.each([
    ['30s', now - 30_000],
    ['1.5m', now - 90_000],
    ['200ms', now - 200],
    ['2026-11-27T01:00:00Z', now - 3_600_000],
    ['2026-11-27T02:00:00.5+01:00', now - 3_599_500],
  ])('%s', (text, unixMs) => expect(parseSince(text, now)).toBe(unixMs))

  it.each(['', '30', 's', '-5s', 'yesterday', '2026-11-27', '2026-13-27T01:00:00Z', '99999999999s'])(
    'not %j',
    text => expect(parseSince(text, now)).toBeUndefined(),
  )
})
