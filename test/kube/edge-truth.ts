import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import { until } from '../lab/until.ts'
import type { Edge, Installation } from './installation.ts'
import type { Dialled } from './pods/peers.ts'

/** One edge as the programs at its ends know it. */
export interface TrueEdge {
  readonly source: string
  readonly target: string
  readonly port: number
  readonly via?: string
  readonly observed: string
  readonly opened: number
  readonly refused: number
  readonly client?: { readonly sent: number; readonly received: number }
  readonly server?: { readonly sent: number; readonly received: number }
}

export const workload = (name: string, kind = 'Deployment') => `workload/proof/${kind}/${name}`

/** What a program that dialled says, as both ends should have seen it. */
export function bothEnds(
  ends: Pick<TrueEdge, 'source' | 'target' | 'port' | 'via'>,
  { opened, sent, received }: Dialled,
): TrueEdge {
  const client = { sent, received }
  return { ...ends, observed: 'both', opened, refused: 0, client, server: { sent: received, received: sent } }
}

function seenEdge({ source, target, port, via, observed, tcp }: Edge): TrueEdge {
  const side = (figures: { bytesSent: number; bytesReceived: number }) => ({
    sent: figures.bytesSent,
    received: figures.bytesReceived,
  })
  return {
    source,
    target,
    port,
    ...(via !== undefined && { via }),
    observed,
    opened: tcp!.opened,
    refused: tcp!.failures.refused,
    ...(tcp!.client && { client: side(tcp!.client) }),
    ...(tcp!.server && { server: side(tcp!.server) }),
  }
}

/** TCP edges that a predicate chooses, once they are exactly the expected ones; figures included. */
export async function expectEdges(
  installation: Installation,
  isMeant: (edge: Edge) => boolean,
  expected: readonly TrueEdge[],
  timeoutMs = 30_000,
): Promise<void> {
  let seen: TrueEdge[] = []
  const read = async () => {
    const { edges } = await installation.topology()
    seen = edges.filter(edge => edge.tcp !== undefined && isMeant(edge)).map(seenEdge)
    return isDeepStrictEqual(sorted(seen), sorted(expected))
  }
  await until('the edges are as the programs say', read, { timeoutMs, everyMs: 500 }).catch(() =>
    expect(sorted(seen)).toEqual(sorted(expected)),
  )
}

/** Waits until all that the client opened to the server's port is one edge, and nothing of it is missing or twice. */
export async function expectCountedOnce(
  installation: Installation,
  port: number,
  opened: number,
): Promise<void> {
  let seen: readonly object[] = []
  const expected = [{ source: workload('client'), target: workload('server'), observed: 'both', opened }]
  await until(
    'every connection is counted once',
    async () => {
      const edges = await installation.topology().then(
        answer => answer.edges,
        () => [],
      )
      seen = edges
        .filter(edge => edge.port === port)
        .map(({ source, target, observed, tcp }) => ({ source, target, observed, opened: tcp!.opened }))
      return isDeepStrictEqual(seen, expected)
    },
    { timeoutMs: 90_000, everyMs: 500 },
  ).catch(() => expect(seen).toEqual(expected))
}

function sorted(edges: readonly TrueEdge[]): readonly TrueEdge[] {
  const key = (edge: TrueEdge) => `${edge.source} ${edge.target} ${edge.port} ${edge.via}`
  return edges.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
}
