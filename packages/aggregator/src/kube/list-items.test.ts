import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createListItems } from './list-items.ts'

/** What is read of a text that comes in pieces of these sizes, over and over. */
function read(text: string, sizes: readonly number[]): { items: unknown[]; list: unknown } {
  const bytes = Buffer.from(text)
  const items = createListItems()
  const found: unknown[] = []
  for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]!) {
    const piece = Buffer.from(bytes.subarray(at, at + sizes[i % sizes.length]!))
    for (const item of items.take(piece)) found.push(JSON.parse(item))
    // whoever gave them uses them again
    piece.fill(0)
  }
  return { items: found, list: items.end() }
}

const awkward = fc.constantFrom('"items":[', '\\', '"', '{', '}]', 'ü€😀', 'items', '\\"')
const word = fc.oneof(fc.string(), awkward)
const object = fc.dictionary(word, fc.oneof(fc.jsonValue(), word))
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 })

describe('createListItems', () => {
  it('finds the items of any list, however it is cut and wherever they stand', () => {
    fc.assert(
      fc.property(
        fc.array(object, { maxLength: 8 }),
        object,
        fc.boolean(),
        fc.constantFrom(undefined, 1),
        sizes,
        (items, metadata, isFirst, space, pieces) => {
          const list = isFirst ? { items, metadata } : { kind: 'PodList', metadata, items, more: [metadata] }
          const text = JSON.stringify(list, undefined, space)
          const said = JSON.parse(text) as typeof list
          const expected = { items: said.items, list: { ...said, items: [] } }
          expect(JSON.stringify(read(text, pieces))).toBe(JSON.stringify(expected))
        },
      ),
    )
  })

  it('takes a list without items, or with none told, for an empty one', () => {
    expect(read('{"metadata":{},"items":[]}', [7])).toEqual({ items: [], list: { metadata: {}, items: [] } })
    expect(read('{"metadata":{},"items":null}', [7]).items).toEqual([])
  })

  it('has given whole items before it refuses a list that breaks off', () => {
    const text = '{"items":[{"a":"x"},{"a":"y"}],"metadata":{"resourceVersion":"1"}}'
    for (let end = 0; end < text.length; end++) {
      const items = createListItems()
      const found = [...items.take(Buffer.from(text.slice(0, end)))]
      expect(found).toHaveLength((end >= 19 ? 1 : 0) + (end >= 29 ? 1 : 0))
      expect(() => items.end()).toThrow(SyntaxError)
    }
  })
})
