import { EndReason, encodeFlowBatch, Protocol, packKind, Role, State } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchSeed, columnsFrom } from '../../../shared/src/record/batch.testing.ts'
import { flowRows } from './flow-row.ts'
import { createLineFormat, formatNames } from './line-format.ts'
import { noPaint, terminalPaint } from './paint.ts'
import { decoded, minuteMs, rowsOf } from './rows.testing.ts'
import type { TapEvent } from './tap-event.ts'

const where = { unixMs: minuteMs, node: 'n1', bootId: '00000000000000aa' }
const hostile = 'x\u001b[2J\n\u202e\u009b\u2028'
const rows = rowsOf({
  owners: [{ process: 'curl', unit: 'session-1.scope' }, { process: hostile }],
  names: [{ address: '10.0.0.2', name: `${hostile}.example` }],
  records: [
    {
      columns: {
        bytesSent: 79,
        bytesReceived: 1457,
        segmentsSent: 7,
        segmentsReceived: 5,
        srttUs: 239,
        handshakeUs: 38,
      },
    },
    {
      owner: 1,
      kind: packKind(Protocol.tcp, Role.server, State.failed, EndReason.refused),
      columns: { bytesSent: 5 },
    },
  ],
})

describe('compact', () => {
  it('is one readable line per record', () => {
    const [plain] = rowsOf({
      records: [
        {
          columns: { bytesSent: 79, bytesReceived: 1457, segmentsSent: 7, segmentsReceived: 5, srttUs: 239 },
        },
      ],
    })
    expect(createLineFormat('compact', noPaint).rows([plain!])).toBe(
      'Nov 27 02:14:05.123  n1 client  tcp  curl 10.0.0.1:40000 → 10.0.0.2:80  closed fin  →79 B ←1457 B  seg 7/5  rtt 239 µs\n',
    )
  })

  it('shows both directions along the arrow, whichever end reports', () => {
    const server = packKind(Protocol.tcp, Role.server, State.open)
    const line = createLineFormat('compact', noPaint).rows(
      rowsOf({ records: [{ kind: server, columns: { bytesSent: 1457, bytesReceived: 79 } }] }),
    )
    expect(line).toContain('10.0.0.2:80 → curl 10.0.0.1:40000')
    expect(line).toContain('→79 B ←1457 B')
  })
})

describe('table', () => {
  it('aligns the columns of a batch and prints its head once', () => {
    const table = createLineFormat('table', noPaint)
    const lines = (table.rows(rows) + table.rows(rows)).trimEnd().split('\n')
    expect(lines).toHaveLength(5)
    const at = lines[0]!.indexOf('STATE')
    expect(lines[1]!.slice(at)).toMatch(/^closed fin /)
    expect(lines[2]!.slice(at)).toMatch(/^failed refused /)
  })

  it('shows its head even without records', () => {
    const table = createLineFormat('table', noPaint)
    expect(table.rows([]) + table.tail()).toMatch(/^UTC +NODE /)
  })
})

describe('json', () => {
  it('is one array, whatever is in it', () => {
    const format = createLineFormat('json', noPaint)
    const event: TapEvent = { ...where, kind: 'refused', reason: hostile }
    const text = format.head() + format.rows(rows) + format.event(event) + format.rows([]) + format.tail()
    expect(JSON.parse(text)).toMatchObject([
      { type: 'flow' },
      { type: 'flow' },
      { type: 'refused', reason: hostile },
    ])
    const empty = createLineFormat('json', noPaint)
    expect(JSON.parse(empty.head() + empty.tail())).toEqual([])
  })

  it('keeps hostile names as they are, but escaped', () => {
    const text = createLineFormat('ndjson', noPaint).rows(rows)
    expect(JSON.parse(text.split('\n')[1]!)).toMatchObject({
      to: { name: hostile, owner: { process: hostile } },
    })
    expect(text.replaceAll('\n', '')).not.toMatch(strange)
  })
})

const strange = /[\p{C}\p{M}\p{Zl}\p{Zp}]/u
const colours = new RegExp(`${String.fromCharCode(27)}\\[\\d{1,2}m`, 'g')

const text = fc.string({ unit: 'binary', maxLength: 40 })
const events: fc.Arbitrary<TapEvent> = fc
  .record({ node: text, reason: text, place: text, amount: fc.nat() })
  .chain(({ node, reason, place, amount }) =>
    fc.constantFrom<TapEvent>(
      { ...where, node, kind: 'refused', reason },
      { ...where, node, kind: 'lost', place, records: amount, total: amount, before: false },
      { ...where, node, kind: 'lost', place, records: amount, total: amount, before: true },
      {
        ...where,
        node,
        kind: 'gap',
        partition: 1,
        firstSequence: 2,
        lastSequence: 4,
        batches: 3,
        records: amount,
      },
      { ...where, node, kind: 'late', partition: 1, sequence: 2, records: amount },
      { ...where, node, kind: 'restarted', previousBoot: where.bootId, afterCleanStop: amount % 2 === 0 },
      { ...where, node, kind: 'stopped' },
      { ...where, node: '', kind: 'slow', batches: 1, records: amount, bytes: 7 },
      { ...where, node: '', kind: 'unfollowed', limit: amount },
    ),
  )

describe.each(formatNames)('%s', name => {
  it('prints one printable line per record and per event, whatever a batch holds', () => {
    fc.assert(
      fc.property(batchSeed, events, (seed, event) => {
        const columns = decoded(encodeFlowBatch(columnsFrom({ ...seed, count: seed.count % 40 })))
        for (const paint of [noPaint, terminalPaint]) {
          const format = createLineFormat(name, paint)
          const head = format.head() + format.batch(columns.header)
          const body = format.rows(flowRows(columns)) + format.event(event)
          const whole = `${head}${body}${format.tail()}`
          const lines = whole.replace(colours, '').split('\n')
          expect(lines.find(line => strange.test(line))).toBeUndefined()
          const brackets = name === 'json' ? 2 : 0
          const titles = name === 'table' ? 1 : 0
          expect(lines.length).toBe(columns.count + 1 + 1 + brackets + titles + 1)
        }
      }),
      { numRuns: 40 },
    )
  })
})
