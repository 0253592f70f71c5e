import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { box, layeredLayout } from './layout.js'

interface Edge {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly bytes: number
}

function edge(source: string, target: string, bytes = 1): Edge {
  return { id: `${source}>${target}`, source, target, bytes }
}

function layout(edges: Edge[]) {
  const ids = [...new Set(edges.flatMap(one => [one.source, one.target]))]
  return layeredLayout(
    ids.map(id => ({ id })),
    edges,
    1200,
  )
}

describe('layeredLayout', () => {
  it('puts who dials left of who answers', () => {
    const { positions } = layout([edge('a', 'b'), edge('b', 'c'), edge('a', 'c')])
    const x = (id: string) => positions.get(id)!.x
    expect(x('a')).toBeLessThan(x('b'))
    expect(x('b')).toBeLessThan(x('c'))
  })

  it('turns round the edge of a cycle that carries the least', () => {
    const { positions } = layout([edge('a', 'b', 1000), edge('b', 'c', 900), edge('c', 'a', 10)])
    const x = (id: string) => positions.get(id)!.x
    expect(x('a')).toBeLessThan(x('b'))
    expect(x('b')).toBeLessThan(x('c'))
  })

  it('gives every node a place of its own and every edge a line between its ends', () => {
    const name = fc.constantFrom(...'abcdefghij')
    const edges = fc.uniqueArray(
      fc.tuple(name, name, fc.nat(1000)).map(([from, to, bytes]) => edge(from, to, bytes)),
      { selector: one => one.id, minLength: 1, maxLength: 40 },
    )
    fc.assert(
      fc.property(edges, some => {
        const { positions, paths, width, height } = layout(some)
        const places: { x: number; y: number }[] = [...positions.values()]
        for (const [i, a] of places.entries()) {
          expect(
            a.x >= 0 && a.y >= -0.01 && a.x + box.width <= width + 0.01 && a.y + box.height <= height + 0.01,
          ).toBe(true)
          for (const b of places.slice(i + 1)) {
            const apart = Math.abs(a.x - b.x) >= box.width || Math.abs(a.y - b.y) >= box.height - 0.01
            expect(apart).toBe(true)
          }
        }
        for (const one of some) {
          const points: [number, number][] = paths.get(one.id)!
          expect(onBox(points[0]!, positions.get(one.source)!)).toBe(true)
          expect(onBox(points.at(-1)!, positions.get(one.target)!)).toBe(true)
        }
      }),
    )
  })

  it('is the same for the same graph', () => {
    const edges = [edge('a', 'b'), edge('c', 'b'), edge('b', 'd'), edge('d', 'a')]
    expect([...layout(edges).positions]).toEqual([...layout(edges).positions])
  })
})

function onBox([x, y]: [number, number], at: { x: number; y: number }): boolean {
  const onSide = Math.abs(x - at.x) < 0.01 || Math.abs(x - at.x - box.width) < 0.01
  return onSide && y >= at.y && y <= at.y + box.height
}
