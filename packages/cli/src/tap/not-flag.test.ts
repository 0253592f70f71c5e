import { describe, expect, it } from 'vitest'
import { rewriteNot } from './not-flag.ts'

describe('rewriteNot', () => {
  it('reverses the filter behind it and leaves the others', () => {
    expect(rewriteNot(['--from', 'a', '--not', '--to', ':53', '--not', '--proto=udp', '-f'])).toEqual({
      ok: true,
      args: ['--from', 'a', '--not-to', ':53', '--not-proto=udp', '-f'],
    })
  })

  it.each([[['--not']], [['--not', '--since', '3s']], [['--not', '--not', '--from', 'a']], [['--not', 'a']]])(
    'refuses %j with a sentence',
    args => {
      expect(rewriteNot(args)).toEqual({
        ok: false,
        problem: expect.stringMatching(/^--not must stand before/),
      })
    },
  )

  it('leaves alone what stands behind --', () => {
    expect(rewriteNot(['--', '--not'])).toEqual({ ok: true, args: ['--', '--not'] })
  })
})
