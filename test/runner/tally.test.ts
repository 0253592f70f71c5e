import { describe, expect, it } from 'vitest'
import { fromNativeTests } from './tally.ts'

describe('fromNativeTests', () => {
  it('adds up the programs', () => {
    expect(fromNativeTests('a: 3 passed, 0 failed\nx\n4 passed, 1 failed\n', 2)).toEqual({
      passed: 7,
      failed: 1,
      skipped: 0,
    })
  })

  it('never calls a crash a success', () => {
    expect(fromNativeTests('3 passed, 0 failed\n', 139).failed).toBe(1)
    expect(fromNativeTests('', 2)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})
