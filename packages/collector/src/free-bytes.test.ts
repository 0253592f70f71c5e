import { describe, expect, it } from 'vitest'
import { freeBytes } from './free-bytes.ts'

describe('freeBytes', () => {
  it('leaves nothing of bytes that have a buffer of their own', () => {
    const bytes = new Uint8Array(100_000)
    const { buffer } = bytes
    freeBytes(bytes)
    expect([bytes.length, buffer.byteLength]).toEqual([0, 0])
  })

  it('leaves alone what shares its buffer', () => {
    const whole = new Uint8Array(64).fill(7)
    const part = whole.subarray(8, 16)
    freeBytes(part)
    expect(part).toEqual(new Uint8Array(8).fill(7))
    expect(whole).toHaveLength(64)
  })
})
