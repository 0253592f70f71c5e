import { createFlowColumns, type L7Columns, L7Protocol } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { SaidRows } from './said-rows.ts'

/** One row of a batch with one message of this status. */
function columnsOf(status: number): L7Columns {
  const { l7: columns } = createFlowColumns()
  columns.u32.l7Count[0] = 1
  columns.u32.l7Status[0] = status
  return columns
}

const named = (name: string) => ({ protocol: L7Protocol.http1, name, host: '' })

function add(rows: SaidRows, edge: number, name: string, status = 200): boolean {
  return rows.addDecoded(edge, named(name), 0, columnsOf(status), 0, 0, 1)
}

const counted = (rows: SaidRows) =>
  Object.fromEntries(
    Array.from({ length: rows.rowCount }, (_, row) => [
      `${rows.edgeOf(row)} ${rows.operations[rows.operationOf(row)]!.name} ${rows.statusOf(row)}`,
      rows.sums[row * 5],
    ]),
  )

describe('what a minute keeps of what was said', () => {
  it('are no texts of operations that have no name of their own on their edge', () => {
    const rows = new SaidRows(2)
    for (let i = 0; i < 100; i++) expect(add(rows, 1, `GET /${i}`)).toBe(true)
    expect(counted(rows)).toEqual({ '1 GET /0 200': 1, '1 GET /1 200': 1, '1 {other} 200': 98 })
    expect(rows.operations.map(({ name }) => name)).toEqual(['GET /0', 'GET /1', '{other}'])
    expect(rows.capped).toBe(98)
  })

  it('are so many texts and no more, however many edges there are, and what was there before goes on', () => {
    const rows = new SaidRows(2, { operations: 5, rows: 1_000 })
    for (let edge = 0; edge < 50; edge++) add(rows, edge, `GET /${edge}`)
    add(rows, 3, 'GET /3')
    expect(rows.operations).toHaveLength(6)
    expect(rows.capped).toBe(45)
    expect(counted(rows)['3 GET /3 200']).toBe(2)
    expect(counted(rows)['49 {other} 200']).toBe(1)
  })

  it('are so many rows and no more: what would need another is told, not booked', () => {
    const rows = new SaidRows(2, { operations: 5, rows: 10 })
    const booked = Array.from({ length: 30 }, (_, status) => add(rows, 1, 'GET /', status))
    expect(booked.filter(Boolean)).toHaveLength(10)
    expect(add(rows, 1, 'GET /', 3)).toBe(true)
    expect(rows.rowCount).toBe(10)
    expect(counted(rows)['1 GET / 3']).toBe(2)
  })
})
