import { compressFlowPayload } from '@skybraid/shared/flow-body'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFlowFilter } from '../flow-lines/flow-filter.ts'
import { createLineFormat } from '../flow-lines/line-format.ts'
import { noPaint } from '../flow-lines/paint.ts'
import { type BatchParts, batchOf } from '../flow-lines/rows.testing.ts'
import { delimited } from './batch-file.ts'
import { createSession } from './session.ts'
import type { TapMessage } from './tap-message.ts'

const none = { from: [], to: [], proto: [], verdict: [] }

function session(change: { to?: string[]; nodes?: string[]; raw?: boolean } = {}) {
  const written: (string | Uint8Array)[] = []
  const made = createSession({
    format: change.raw ? undefined : createLineFormat('ndjson', noPaint),
    filter: createFlowFilter({ ...none, to: change.to ?? [] }, none),
    nodes: change.nodes ?? [],
    sink: {
      async write(data) {
        if (data.length > 0) written.push(data)
      },
    },
    now: () => 1_700_000_000_000,
  })
  const types = () =>
    written
      .join('')
      .split('\n')
      .filter(line => line !== '')
      .map(line => (JSON.parse(line) as { type: string }).type)
  return { ...made, written, types }
}

const message = (parts: BatchParts, subject?: string): TapMessage => ({
  payload: batchOf(parts),
  ...(subject === undefined ? {} : { subject }),
  head: {
    schemaVersion: 1,
    node: parts.node ?? 'n1',
    bootId: '00000000000000aa',
    partition: parts.partition ?? 0,
    sequence: parts.sequence ?? 1,
    recordCount: parts.records?.length ?? 1,
    encoding: 'raw',
  },
})

describe('createSession', () => {
  it('prints what fits, and each batch once', async () => {
    const { take, types } = session({ to: [':80'] })
    const batch = message({ records: [{}, { remotePort: 81 }, {}] })
    await take(batch)
    await take(batch)
    expect(types()).toEqual(['flow', 'flow'])
  })

  it('reads compressed batches', async () => {
    const { take, types } = session()
    await take({ payload: compressFlowPayload(batchOf()) })
    expect(types()).toEqual(['flow'])
  })

  it('keeps to the nodes that were asked for', async () => {
    const { take, fittingRecords, types } = session({ nodes: ['n2'] })
    await take(message({ node: 'n1' }))
    await take(message({ node: 'n2' }))
    expect(types()).toEqual(['flow'])
    expect([fittingRecords(message({ node: 'n1' })), fittingRecords(message({ node: 'n2' }))]).toEqual([0, 1])
  })

  const forged: [string, TapMessage][] = [
    ['of another node', message({ node: 'n2' }, 'skybraid.v1.local.flow.0.n1')],
    ['of another partition', message({ partition: 3 }, 'skybraid.v1.local.flow.0.n1')],
    ['of another cluster', message({}, 'skybraid.v1.other.flow.0.n1')],
    ['under no subject of batches', message({}, 'skybraid.v1.local.rollup.0')],
    ['that is none', { payload: Uint8Array.of(1, 2, 3), subject: 'skybraid.v1.local.flow.0.n1' }],
    ['of nothing', { payload: new Uint8Array(0) }],
    ['of a broken frame', { payload: compressFlowPayload(batchOf()).slice(0, -3) }],
    ['that would become too large', { payload: compressFlowPayload(new Uint8Array(10 << 20)) }],
  ]
  it.each(forged)('refuses a message %s', async (_, bad) => {
    const { take, types, fittingRecords } = session()
    await take(bad)
    expect(types()).toEqual(['refused'])
    expect(fittingRecords(bad)).toBe(0)
  })

  it('tells what it had to let go before the next batch, and does not call it missing', async () => {
    const { take, dropped, types, written } = session()
    await take(message({ sequence: 1 }))
    dropped(message({ sequence: 2, firstRecord: 1, records: [{}, {}] }))
    dropped(message({ sequence: 3, firstRecord: 3 }))
    await take(message({ sequence: 4, firstRecord: 4 }))
    expect(types()).toEqual(['flow', 'slow', 'flow'])
    expect(JSON.parse(String(written[1]).split('\n')[0]!)).toMatchObject({ batches: 2, records: 3 })
  })

  it('tells at the end what it let go last', async () => {
    const { dropped, finish, types } = session()
    dropped(message({}))
    await finish()
    expect(types()).toEqual(['slow'])
  })

  it('leaves out the first records that fit where it is told to', async () => {
    const { take, types, fittingRecords } = session()
    const three = message({ records: [{}, {}, {}] })
    expect(fittingRecords(three)).toBe(3)
    await take(three, 2)
    expect(types()).toEqual(['flow'])
  })

  it('writes batches as they came', async () => {
    const { take, written } = session({ raw: true })
    const payload = compressFlowPayload(batchOf())
    await take({ payload })
    await take({ payload })
    await take({ payload: Uint8Array.of(9) })
    expect(written).toEqual([delimited(payload)])
  })

  it('survives whatever comes', async () => {
    const { take, types } = session()
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async payload => take({ payload })))
    expect(new Set(types())).toEqual(new Set(['refused']))
  })
})
