import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { printable } from './printable.ts'

describe('printable', () => {
  it('leaves plain names as they are', () => {
    expect(printable('nginx: worker-1 (käse)')).toBe('nginx: worker-1 (käse)')
  })

  it('shows terminal escapes, line breaks and direction overrides instead of obeying them', () => {
    expect(printable('a\u001b[2Jb\n\u202ec\u009b')).toBe('a\\u{1b}[2Jb\\u{a}\\u{202e}c\\u{9b}')
  })

  it('never prints a control character and never exceeds the width, whatever the name', () => {
    const codePoints = fc.array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 60 })
    fc.assert(
      fc.property(codePoints, fc.integer({ min: 1, max: 40 }), (points, width) => {
        const shown = printable(String.fromCodePoint(...points), width)
        expect(shown.length).toBeLessThanOrEqual(width)
        expect(shown).not.toMatch(/[\p{C}\p{M}]/u)
      }),
    )
  })
})
