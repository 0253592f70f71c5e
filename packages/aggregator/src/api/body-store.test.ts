import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Body, createBodyStore } from './body-store.ts'

const large = 1024 * 1024

/** Builds into the memory it is given, as the core does. */
function builder(fill: number, reused: unknown[] = []) {
  return (reuse: Uint8Array<ArrayBuffer> | undefined) => {
    if (reuse !== undefined) reused.push(reuse.buffer)
    return Buffer.from((reuse ?? new Uint8Array(large)).buffer, 0, large).fill(fill)
  }
}

describe('createBodyStore', () => {
  it('builds once as long as it keeps the body', () => {
    const store = createBodyStore(4 * large)
    let built = 0
    const build = () => Buffer.alloc(10, ++built)
    expect(store.get('a', build).bytes).toBe(store.get('a', build).bytes)
    expect(built).toBe(1)
  })

  it('hands on memory only after it is evicted and sent', () => {
    const store = createBodyStore(large + 1)
    const reused: unknown[] = []
    const first = store.get('a', builder(1, reused))
    store.get('b', builder(2, reused)).release()
    expect(reused).toEqual([])
    expect(first.bytes[0]).toBe(1)
    first.release()
    first.release()
    store.get('c', builder(3, reused))
    expect(reused).toEqual([first.bytes.buffer])
  })

  it('never changes a body that is on its way', () => {
    const steps = fc.array(fc.record({ name: fc.nat(5), release: fc.nat(3) }), { maxLength: 40 })
    fc.assert(
      fc.property(steps, fc.integer({ min: large / 2, max: 3 * large }), (todo, maxBytes) => {
        const store = createBodyStore(maxBytes)
        const out: { body: Body; fill: number }[] = []
        for (const { name, release } of todo) {
          out.push({ body: store.get(`n${name}`, builder(name)), fill: name })
          for (const { body } of out.splice(0, release)) body.release()
          for (const { body, fill } of out) expect([body.bytes[0], body.bytes.at(-1)]).toEqual([fill, fill])
        }
      }),
      { numRuns: 30 },
    )
  })
})
