import { describe, expect, it } from 'vitest'
import { whetherRan } from './whether-ran.ts'

describe('whetherRan', () => {
  it('says that they ran only where they could, and did', () => {
    expect(whetherRan(undefined, '', { passed: 200, failed: 0 })).toBe('ran')
    expect(whetherRan(undefined, '', { passed: 0, failed: 3 })).toBe('ran')
    expect(whetherRan(undefined, '', { passed: 0, failed: 0 })).toMatch(/^skipped: every one/)
  })

  it('names what is missing', () => {
    expect(whetherRan('not root', '', { passed: 0, failed: 0 })).toBe('skipped: not root')
    const tools = '(skipped: not installed: tshark)'
    expect(whetherRan(undefined, tools, { passed: 90, failed: 0 })).toBe(
      'skipped in part: not installed: tshark',
    )
  })
})
