import { describe, expect, it } from 'vitest'
import type { TopologyEdge } from '../../topology/answer.ts'
import { fixtureEdge, fixtureNode } from '../fixture/fixture-reader.testing.ts'
import { bytesText, lossText, microsText } from './figures.js'
import { choosePicture, filterEdges } from './picture.js'
import { questionOf, readState, writeState } from './url-state.js'

function topologyOf(edges: TopologyEdge[]) {
  const names = new Set(edges.flatMap(edge => [edge.source, edge.target]).map(id => id.split('/').pop()!))
  return {
    nodes: new Map([...names].map(name => [fixtureNode(name).id, fixtureNode(name)])),
    edges: new Map(edges.map(edge => [edge.id, edge])),
  }
}

describe('choosePicture', () => {
  it('never draws more than 200 things and says what it leaves out', () => {
    const edges = Array.from({ length: 20_000 }, (_, i) =>
      fixtureEdge(`s${i % 5000}`, `s${(i * 7919 + 13) % 5000}`, i),
    )
    const distinct = [...new Map(edges.map(edge => [edge.id, edge])).values()]
    const picture = choosePicture(topologyOf(distinct), distinct, '')
    expect(picture.nodes.length + picture.bundles.length).toBeLessThanOrEqual(200)
    const drawn = picture.bundles.flatMap(bundle => bundle.edges)
    expect(drawn.length + picture.hiddenEdges).toBe(distinct.length)
    expect(picture.nodes.length + picture.hiddenNodes).toBe(5000)
  })

  it('keeps the failing and the selected edge in the picture, however small', () => {
    const edges = Array.from({ length: 300 }, (_, i) => fixtureEdge(`a${i}`, `b${i}`, 1000 + i))
    const failing: TopologyEdge = { ...fixtureEdge('sick', 'target', 1), health: 'failing' }
    const selected = fixtureEdge('chosen', 'target', 0)
    const all = [...edges, failing, selected]
    const picture = choosePicture(topologyOf(all), all, selected.id)
    const drawn = picture.bundles.flatMap(bundle => bundle.edges.map(edge => edge.id))
    expect(drawn).toContain(failing.id)
    expect(drawn).toContain(selected.id)
  })

  it('filters by every word, in names, ports and who saw it', () => {
    const edges = [fixtureEdge('curl', 'nginx', 1), fixtureEdge('nginx', 'redis', 1)]
    const topology = topologyOf(edges)
    const found = (text: string) => filterEdges(topology, text).map(edge => edge.id)
    expect(found('NGINX')).toHaveLength(2)
    expect(found('nginx redis')).toEqual(['nginx|redis|tcp/80'])
    expect(found('tcp/80 seen:both')).toHaveLength(2)
    expect(found('seen:client')).toEqual([])
  })
})

describe('url state', () => {
  it('goes into the address and comes back, and refuses values it does not know', () => {
    const state = { ...readState(''), groupBy: 'host', filter: 'a&b=c', edge: 'x|y', sort: 'rtt' }
    expect(readState(writeState(state).slice(1))).toEqual(state)
    expect(writeState(readState(''))).toBe('/')
    expect(readState('?groupBy=evil&window=9y&nonsense=1')).toEqual(readState(''))
    expect(questionOf({ ...readState(''), focus: 'a/b', depth: '2' })).toBe(
      'window=5m&groupBy=process&include=detail&focus=a%2Fb&depth=2',
    )
  })
})

describe('figures', () => {
  it('tell absent from zero', () => {
    expect([
      bytesText(undefined),
      bytesText(0),
      bytesText(999),
      bytesText(1000),
      bytesText(123_456_789),
    ]).toEqual(['–', '0 B', '999 B', '1.0 kB', '123 MB'])
    expect([microsText(undefined), microsText(0), microsText(1500), microsText(2_345_678)]).toEqual([
      '–',
      '0 µs',
      '1.5 ms',
      '2.35 s',
    ])
    expect(lossText({ unknown: 'segments_coalesced' })).toBe('unknown: segments were merged on the way')
    expect(lossText({ segmentsLost: 3, segmentsCompared: 100 })).toBe('3 of 100 segments (3.0 %)')
    expect(lossText({ segmentsLost: 0, segmentsCompared: 10, unknown: 'not_yet_quiet' })).toBe(
      '0 of 10 segments (0 %); the rest unknown: segments are still on their way',
    )
  })
})
