import type { TopologyAnswer, TopologyEdge } from '@skybraid/aggregator'
import { describe, expect, it } from 'vitest'
import { liveTable } from './live-table.ts'

const side = (bytesSent: number) => ({ bytesSent, bytesReceived: 0, retransmits: 2 })

function edge(id: string, bytesSent: number): TopologyEdge {
  const tcp = { opened: 120_000, openNow: 3, failed: 0, client: side(bytesSent), server: side(bytesSent) }
  return {
    id,
    source: 'web',
    target: 'db',
    protocol: 'tcp',
    port: 5432,
    observed: 'both',
    tcp,
  } as unknown as TopologyEdge
}

function answer(edges: readonly TopologyEdge[], name = 'web'): TopologyAnswer {
  return { nodes: [{ id: 'web', name }], edges } as unknown as TopologyAnswer
}

describe('liveTable', () => {
  it('shows the busiest edges first and says how many it leaves out', () => {
    const lines = liveTable(answer([edge('a', 5), edge('b', 70_000), edge('c', 600)]), 2, 200)
    expect(lines[1]).toMatch(/^web +db +tcp 5432 +both +120 ?k +3 +0 +70\.0 kB +4$/)
    expect(lines[2]).toContain('600 B')
    expect(lines[3]).toBe('… and 1 more')
  })

  it('counts the payload of one end only', () => {
    expect(liveTable(answer([edge('a', 1000)]), 5, 200)[1]).toContain('1000 B')
  })

  it('leaves blank what was not measured and prints a measured zero', () => {
    const udp = {
      ...edge('a', 0),
      tcp: undefined,
      protocol: 'udp',
      udp: { client: { flows: 4, bytesSent: 9, bytesReceived: 0 } },
    }
    const line = liveTable(answer([udp as unknown as TopologyEdge]), 5, 200)[1]!
    expect(line).toMatch(/udp 5432 +both +4 +9 B$/)
  })

  it('never lets a hostile name reach the terminal', () => {
    const lines = liveTable(answer([edge('a', 1)], 'x\u001b]0;owned\u0007\n\u202e'), 5, 80)
    expect(lines.join('')).not.toMatch(/\p{C}/u)
  })

  it('says so when there is nothing yet, and keeps to the width', () => {
    expect(liveTable(answer([]), 5, 40).at(-1)).toBe('no traffic seen yet')
    for (const line of liveTable(answer([edge('a', 1)]), 5, 40)) expect(line.length).toBeLessThanOrEqual(40)
  })
})
