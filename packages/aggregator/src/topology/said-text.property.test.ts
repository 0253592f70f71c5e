import { bucketSlot } from '@skybraid/shared'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SaidBlockName, SaidView } from './answer.ts'
import { JsonText } from './json-text.ts'
import { SaidFlag, SaidRows, unknownStatus } from './said-rows.ts'
import { writeSaid } from './said-text.ts'
import { blockOf, SaidOfEdge, type SaidPlace, saidBlock } from './said-view.ts'

interface Said {
  readonly protocol: number
  readonly status: number
  readonly flags: number
  readonly count: number
  readonly us: number
}

const said = fc.record<Said>({
  protocol: fc.integer({ min: 1, max: 12 }),
  status: fc.constantFrom(0, 200, 404, 503, unknownStatus),
  flags: fc.nat(7),
  // corrections take back
  count: fc.integer({ min: -2, max: 40 }),
  us: fc.constantFrom(0, 3, 1_000, 2_500_000),
})

function rowsOf(list: readonly Said[]): SaidRows {
  const rows = new SaidRows()
  for (const { protocol, status, flags, count, us } of list) {
    const row = rows.row(1, rows.operation({ protocol, name: '*', host: '' }), status, flags)
    for (const [sum, amount] of [count, 50 * count, 2 ** 33 * count, us * count, 2 * us * count].entries())
      rows.add(row, sum, amount)
    rows.addBucket(row, bucketSlot(us), count)
  }
  return rows
}

function written(list: readonly Said[], form: 'detail' | 'summary', edge: SaidOfEdge) {
  const rows = rowsOf(list)
  edge.clear()
  for (let row = 0; row < rows.rowCount; row++) edge.add(rows, row)
  const out = new JsonText(1_024)
  out.text('{"edge":1')
  writeSaid(out, edge, form)
  out.text('}')
  const { edge: _, ...blocks } = JSON.parse(new TextDecoder().decode(out.finish()))
  expect(Object.keys(blocks).length > 0).toBe(edge.isSaid)
  return blocks
}

/** Each block by itself, from the same rows. */
function expected(list: readonly Said[]) {
  const rows = rowsOf(list)
  const places = new Map<SaidBlockName, SaidPlace[]>()
  for (let row = 0; row < rows.rowCount; row++) {
    const name = blockOf(rows.protocolOf(row))
    places.set(name, [...(places.get(name) ?? []), { rows, row }])
  }
  return [...places].flatMap(([name, of]) => {
    const block = saidBlock(of)
    // as JSON has it, which knows no -0, the mean of a little that was taken back
    return block === undefined ? [] : [[name, JSON.parse(JSON.stringify(block)) as typeof block] as const]
  })
}

function short({ requests, errors, unknown, firstByteUs }: SaidView) {
  return {
    requests,
    errors,
    ...(unknown !== 0 && { unknown }),
    ...(firstByteUs && { firstByteUs: { p50: firstByteUs.p50, p99: firstByteUs.p99 } }),
  }
}

it('writes what the rows of an edge say, whole and short, one edge after another', () => {
  const edge = new SaidOfEdge()
  fc.assert(
    fc.property(fc.array(said, { maxLength: 30 }), list => {
      expect(written(list, 'detail', edge)).toEqual(Object.fromEntries(expected(list)))
      const shorter = expected(list).map(([name, { client, server, ...block }]) => {
        const ends = { ...(client && { client: short(client) }), ...(server && { server: short(server) }) }
        return [name, { ...block, ...ends }]
      })
      expect(written(list, 'summary', edge)).toEqual(Object.fromEntries(shorter))
    }),
    {
      numRuns: 300,
      examples: [
        [
          [
            { protocol: 9, status: 0, flags: 0, count: 7, us: 0 },
            { protocol: 9, status: 0, flags: 0, count: -1, us: 3 },
          ],
        ],
      ],
    },
  )
})

it('adds up both ends apart, by nearest rank, and leaves out what was taken back', () => {
  const http = { protocol: 1, status: 200, flags: 0, count: 10, us: 1_000 }
  const [entry] = expected([
    http,
    { ...http, us: 2_500_000, count: 1, status: 503, flags: SaidFlag.error },
    { ...http, flags: SaidFlag.server },
    { ...http, protocol: 2, count: -1 },
    { ...http, protocol: 2, count: 1 },
  ])
  const [name, block] = entry!
  expect(name).toBe('http')
  expect(block).toMatchObject({
    protocols: ['http1'],
    client: { requests: 11, errors: 1, unknown: 0, statuses: { 200: 10, 503: 1 } },
    server: { requests: 10, errors: 0, statuses: { 200: 10 } },
  })
  expect(block.client!.firstByteUs!.count).toBe(11)
  expect(block.client!.firstByteUs!.p50).toBeLessThan(1_100)
  expect(block.client!.firstByteUs!.max).toBeGreaterThan(2_300_000)
  // eleven and ten timed messages are too far apart to compare their means
  expect(block.networkUs).toBeUndefined()
})
