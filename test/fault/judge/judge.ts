import type { IngestStatus, TopologyEdge } from '../../../packages/aggregator/src/topology/answer.ts'
import { edgeName } from '../world/map.ts'
import { type Told, truthNames } from '../world/truth-book.ts'
import type { Witness } from './witness.ts'

/** One counter that is not what it must be. */
export interface Difference {
  readonly minute: string
  readonly edge: string
  readonly counter: string
  readonly truth: number
  readonly seen: number
}

/** Nobody invents a connection that only its server would see; there are some where records are lost. */
const known = new Set([...truthNames, 'tcp.openedServerOnly'])

/**
 * Compares every counter of every edge of every minute with the truth, edges that should not be there included. One that
 * only stands for open connections must have begun by then; `oneSided` are names it may have while one end is known.
 */
export async function compareMinutes(
  truth: Told,
  witness: Witness,
  oneSided: readonly string[],
): Promise<Difference[]> {
  const differences: Difference[] = []
  const begun = new Set(oneSided)
  for (const minute of minutesOf(truth)) {
    const wanted = truth[minute] ?? {}
    for (const edge of Object.keys(wanted)) begun.add(edge)
    const seen = countersByEdge(await witness.edges(minute * 60_000, (minute + 1) * 60_000))
    differences.push(...compareMinute(minute, wanted, seen.counters))
    differences.push(...notBegun(minute, seen.openOnly, begun))
  }
  return [...differences, ...(await outside(truth, witness, begun))]
}

/** Every minute from the first to the last of a truth, also those in which nobody invented anything. */
export function minutesOf(truth: Told): number[] {
  const [first, last] = endsOf(truth)
  return Array.from({ length: last - first + 1 }, (_, n) => first + n)
}

function endsOf(truth: Told): readonly [first: number, last: number] {
  const minutes = Object.keys(truth).map(Number)
  return [Math.min(...minutes), Math.max(...minutes)]
}

/** Around those minutes there is nothing but what stayed open. */
const outsideMinutes = 30

export async function outside(
  truth: Told,
  witness: Witness,
  begun: ReadonlySet<string>,
): Promise<Difference[]> {
  const [first, last] = endsOf(truth)
  const running = Math.floor(witness.nowMs() / 60_000)
  const differences: Difference[] = []
  for (const [from, to, mayBeOpen] of [
    [first - outsideMinutes, first, new Set<string>()],
    [last + 1, Math.min(last + outsideMinutes, running) + 1, begun],
  ] as const) {
    if (from >= to) continue
    const { counters, openOnly } = countersByEdge(await witness.edges(from * 60_000, to * 60_000))
    const minute = `${clock(from)}-${clock(to)}`
    for (const [edge, seen] of Object.entries(counters))
      for (const [counter, value] of Object.entries(seen))
        differences.push({ minute, edge, counter, truth: 0, seen: value })
    differences.push(...notBegun(from, openOnly, mayBeOpen))
  }
  return differences
}

function compareMinute(minute: number, truth: Told[string], seen: Told[string]): Difference[] {
  const differences: Difference[] = []
  for (const edge of new Set([...Object.keys(truth), ...Object.keys(seen)])) {
    const wanted = truth[edge] ?? {}
    const found = seen[edge] ?? {}
    for (const counter of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
      const want = wanted[counter] ?? 0
      const have = found[counter] ?? 0
      if (have !== want) differences.push({ minute: clock(minute), edge, counter, truth: want, seen: have })
    }
  }
  return differences
}

/** Edges that stand for open connections alone in a minute in which none of theirs had begun. */
export function notBegun(
  minute: number,
  openOnly: readonly string[],
  begun: ReadonlySet<string>,
): Difference[] {
  return openOnly
    .filter(edge => !begun.has(edge))
    .map(edge => ({ minute: clock(minute), edge, counter: 'open before it began', truth: 0, seen: 1 }))
}

export function clock(minute: number): string {
  return new Date(minute * 60_000).toISOString().slice(11, 16)
}

/** What the edges of one minute say. */
export interface SeenEdges {
  /** The counters that the truth knows of, where they are not 0. */
  readonly counters: Told[string]
  /** Edges that only stand for connections that were open when the minute ended. */
  readonly openOnly: readonly string[]
}

export function countersByEdge(edges: readonly TopologyEdge[]): SeenEdges {
  const all: Told[string] = {}
  const openOnly: string[] = []
  for (const edge of edges) {
    const counters: Record<string, number> = {}
    flatten('', { tcp: edge.tcp, udp: edge.udp }, counters)
    const name = edgeName(edge)
    if (Object.keys(counters).length === 0) {
      if (edge.udp !== undefined || (edge.tcp?.openNow ?? 0) > 0) {
        openOnly.push(name)
        continue
      }
      counters['(an edge without anything)'] = 1
    }
    if (all[name] !== undefined) throw new Error(`two edges are called ${name}`)
    all[name] = counters
  }
  return { counters: all, openOnly }
}

function flatten(path: string, value: unknown, into: Record<string, number>): void {
  if (typeof value === 'number') {
    if (value !== 0 && known.has(path)) into[path] = value
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value))
      flatten(path === '' ? name : `${path}.${name}`, inner, into)
  }
}

/** What the identities must say. */
export interface Balance {
  /** By node: records it handed over. */
  readonly encoded: Readonly<Record<string, number>>
  /** Lost over all nodes, by place; nothing unless told. */
  readonly lost?: Readonly<Record<string, number>>
}

/** Both identities of every node and the aggregator's own; as sentences, none if all is well. */
export function checkBalance(balance: Balance, status: IngestStatus): string[] {
  const problems: string[] = []
  const lost: Record<string, number> = {}
  const add = (by: Readonly<Record<string, number>>) => {
    for (const [place, records] of Object.entries(by)) lost[place] = (lost[place] ?? 0) + records
  }
  if (!status.identity.holds) problems.push('the identity of the aggregator does not hold')
  add(status.identity.lost)
  for (const { node, identity } of status.nodes) {
    const { records, ring } = identity
    add(records.lost)
    if (!records.holds || !ring.holds) problems.push(`an identity of ${node} does not hold`)
    // what is under way is not told once partitions changed
    const underWay = records.inFlight ?? (balance.encoded[node] ?? 0) - records.received
    if (underWay !== 0) problems.push(`${node} has ${underWay} records under way`)
    if (records.encoded !== balance.encoded[node])
      problems.push(`${node} says ${records.encoded} records, it made ${balance.encoded[node]}`)
  }
  for (const node of Object.keys(balance.encoded)) {
    if (!status.nodes.some(each => each.node === node)) problems.push(`${node} is not known`)
  }
  const wanted = balance.lost ?? {}
  for (const place of new Set([...Object.keys(lost), ...Object.keys(wanted)])) {
    const want = wanted[place] ?? 0
    if ((lost[place] ?? 0) !== want) problems.push(`${lost[place] ?? 0} lost by ${place}, must be ${want}`)
  }
  return problems
}

/** Segments lost and compared over a range, of edges that both ends reported. */
export function lossOf(edges: readonly TopologyEdge[]): { lost: number; compared: number } {
  let lost = 0
  let compared = 0
  for (const { tcp } of edges) {
    lost += tcp?.loss.clientToServer.segmentsLost ?? 0
    compared += tcp?.loss.clientToServer.segmentsCompared ?? 0
  }
  return { lost, compared }
}

const mostRows = 40

/** Differences as a table, the first of them. */
export function differenceTable(differences: readonly Difference[]): string {
  const head = ['minute', 'edge', 'counter', 'truth', 'seen']
  const rows = differences
    .slice(0, mostRows)
    .map(d => [d.minute, d.edge, d.counter, String(d.truth), String(d.seen)])
  const widths = head.map((title, c) => Math.max(title.length, ...rows.map(row => row[c].length)))
  const line = (cells: readonly string[]) =>
    cells.map((cell, c) => (c < 3 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join('  ')
  const more = differences.length - rows.length
  return [line(head), ...rows.map(line), ...(more > 0 ? [`and ${more} more`] : [])].join('\n')
}
