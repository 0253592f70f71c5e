import { describe, expect, it } from 'vitest'
import { kernelTestsOf } from './kernel-tests.ts'

describe('kernelTestsOf', () => {
  it('says that they ran only where they could, and did', () => {
    expect(kernelTestsOf(undefined, '', { passed: 200, failed: 0 })).toBe('ran')
    expect(kernelTestsOf(undefined, '', { passed: 0, failed: 3 })).toBe('ran')
    expect(kernelTestsOf(undefined, '', { passed: 0, failed: 0 })).toMatch(/^skipped: every one/)
  })

  it('names what is missing', () => {
    expect(kernelTestsOf('not root', '', { passed: 0, failed: 0 })).toBe('skipped: not root')
    const tools = '(skipped: not installed: tshark)'
    expect(kernelTestsOf(undefined, tools, { passed: 90, failed: 0 })).toBe(
      'skipped in part: not installed: tshark',
    )
  })
})
