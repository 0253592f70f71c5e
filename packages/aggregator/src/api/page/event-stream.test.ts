import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEventParser } from './event-stream.js'

const text =
  ': hello\n\nevent: snapshot\nid: a.1\ndata: {"nodes":[]}\n\n: still here\n\nevent: patch\ndata: one\ndata: two\n\nevent: window\n\nevent: cut\ndata: never'
const events = [
  { type: 'snapshot', data: '{"nodes":[]}', id: 'a.1' },
  { type: 'patch', data: 'one\ntwo', id: undefined },
]

describe('createEventParser', () => {
  it('finds the same events wherever the text is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 20 }), cuts => {
        const seen: object[] = []
        const feed = createEventParser(event => seen.push(event))
        const places = [0, ...cuts.sort((a, b) => a - b), text.length]
        for (const [i, end] of places.slice(1).entries()) feed(text.slice(places[i], end))
        expect(seen).toEqual(events)
      }),
    )
  })
})
