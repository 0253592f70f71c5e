import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Frame, readFrames } from './read-frames.ts'

interface Written {
  partition: number
  recordCount: number
  baseUnixMs: number
  atUnixMs: number
  body: Uint8Array
}

function flushOf(frames: readonly Written[]): ArrayBuffer {
  const bytes = frames.reduce((sum, f) => sum + 32 + Math.ceil(f.body.length / 8) * 8, 0)
  const flush = new ArrayBuffer(bytes)
  const view = new DataView(flush)
  let offset = 0
  for (const f of frames) {
    view.setUint32(offset, f.partition, true)
    view.setUint32(offset + 4, f.recordCount, true)
    view.setFloat64(offset + 8, f.baseUnixMs, true)
    view.setUint32(offset + 16, f.body.length, true)
    view.setFloat64(offset + 24, f.atUnixMs, true)
    new Uint8Array(flush, offset + 32, f.body.length).set(f.body)
    offset += 32 + Math.ceil(f.body.length / 8) * 8
  }
  return flush
}

const frame = fc.record({
  partition: fc.integer({ min: 0, max: 63 }),
  recordCount: fc.integer({ min: 1, max: 1000 }),
  baseUnixMs: fc.integer({ min: 0, max: 4e12 }),
  atUnixMs: fc.integer({ min: 0, max: 4e12 }),
  body: fc.uint8Array({ minLength: 1, maxLength: 90 }),
})

describe('readFrames', () => {
  it('gives back every frame in order', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 20 }), written => {
        const read: Frame[] = []
        expect(readFrames(flushOf(written), f => read.push(f))).toBe(written.length)
        expect(read).toEqual(written.map(w => ({ ...w, minuteComplete: false })))
      }),
    )
  })

  it('does not copy the body', () => {
    const flush = flushOf([
      { partition: 1, recordCount: 1, baseUnixMs: 60_000, atUnixMs: 1, body: Uint8Array.of(7) },
    ])
    readFrames(flush, f => expect(f.body.buffer).toBe(flush))
  })

  it('knows a minute marker by its empty frame', () => {
    const flush = flushOf([
      { partition: 3, recordCount: 0, baseUnixMs: 120_000, atUnixMs: 180_001, body: new Uint8Array(0) },
      { partition: 3, recordCount: 0, baseUnixMs: 120_000, atUnixMs: 180_001, body: Uint8Array.of(1, 2) },
    ])
    const marks: boolean[] = []
    readFrames(flush, f => marks.push(f.minuteComplete))
    expect(marks).toEqual([true, false])
  })

  it('refuses a flush that is cut anywhere but between frames', () => {
    const whole = flushOf([
      { partition: 0, recordCount: 2, baseUnixMs: 0, atUnixMs: 0, body: Uint8Array.of(1, 2, 3) },
      { partition: 1, recordCount: 2, baseUnixMs: 0, atUnixMs: 0, body: Uint8Array.of(1, 2, 3) },
    ])
    for (let cut = 1; cut < whole.byteLength; cut++) {
      const read = (): number => readFrames(whole.slice(0, cut), () => {})
      if (cut === 40) expect(read()).toBe(1)
      else expect(read, `cut at ${cut}`).toThrow(RangeError)
    }
  })
})
