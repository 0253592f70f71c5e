import { EndReason, Protocol, packKind, Role, State } from '@skybraid/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseEndFilter } from './end-filter.ts'
import { createFlowFilter, endProblem, type FilterTexts, verdictProblem } from './flow-filter.ts'
import { rowsOf } from './rows.testing.ts'

const none: FilterTexts = { from: [], to: [], proto: [], verdict: [] }

function passes(
  row: Parameters<ReturnType<typeof createFlowFilter>>[0],
  wanted: Partial<FilterTexts>,
  not: Partial<FilterTexts> = {},
) {
  return createFlowFilter({ ...none, ...wanted }, { ...none, ...not })(row)
}

const owner = {
  process: 'nginx',
  unit: 'web.service',
  containerId: 'abcdef0123456789',
  podUid: '5c1f0e2a-9d3b-4c00-8000-000000000001',
}
const [row] = rowsOf({
  owners: [owner],
  names: [{ address: '10.1.2.3', name: 'db.example.com' }],
  records: [{ local: '10.0.0.1', localPort: 40_000, remote: '10.1.2.3', remotePort: 5432 }],
})

describe('a filter of ends', () => {
  it.each([
    'nginx',
    'NGINX',
    'ng*x',
    'web.service',
    'web',
    'abcdef',
    'abcdef012345',
    '5c1f0e2a',
    'pod:5c1f0e2a',
    '10.0.0.1',
    '10.0.0.0/8',
    '10.0.0.1/31',
    '0.0.0.0/0',
    ':40000',
    'nginx:40000',
    '10.0.0.0/24:40000',
    '[10.0.0.1]:40000',
    '*',
    '5c1f0e2a-9d3b-4c00-8000-000000000001/nginx',
  ])('%s fits the client', text => {
    expect(endProblem(text)).toBeUndefined()
    expect(passes(row!, { from: [text] })).toBe(true)
    expect(passes(row!, {}, { from: [text] })).toBe(false)
  })

  it.each([
    'ngin',
    'abcde',
    'curl',
    '10.0.0.2',
    '10.0.0.0/32',
    '::/0',
    ':80',
    'nginx:80',
    'shop/cart',
    'db.example.com',
  ])('%s does not', text => expect(passes(row!, { from: [text] })).toBe(false))

  it.each(['db.example.com', '*.example.com', 'db.*', 'db.example.com:5432', '10.1.2.3:5432'])(
    '%s fits the server',
    text => {
      expect(passes(row!, { to: [text] })).toBe(true)
    },
  )

  it('takes IPv6 with and without brackets', () => {
    const [v6] = rowsOf({ records: [{ local: '2001:db8::1', remote: '2001:db8::2', remotePort: 443 }] })
    for (const text of ['2001:db8::2', '[2001:db8::2]:443', '2001:db8::/32', '[2001:db8::/32]:443']) {
      expect([text, passes(v6!, { to: [text] })]).toEqual([text, true])
    }
    expect(passes(v6!, { to: ['10.0.0.0/8'] })).toBe(false)
  })

  it.each(['', ':', '10.0.0.0/33', '10.0.0.0/x', 'web:70000', '[]'])('%j is refused', text => {
    if (text !== ':') expect(endProblem(text)).toBeTypeOf('string')
    else expect(passes(row!, { from: [text] })).toBe(false)
  })

  it('takes either end for the client where nobody knows who dialled', () => {
    const kind = packKind(Protocol.udp, Role.unknown, State.open)
    const [udp] = rowsOf({ records: [{ kind, local: '10.0.0.1', remote: '10.0.0.9' }] })
    expect(passes(udp!, { from: ['10.0.0.9'] })).toBe(true)
    expect(passes(udp!, { to: ['10.0.0.1'] })).toBe(true)
    expect(passes(udp!, { to: ['10.0.0.3'] })).toBe(false)
  })

  it('never throws, whatever the text, and says either what it means or what is wrong', () => {
    const pieces = fc.constantFrom(
      ':',
      '/',
      '[',
      ']',
      '*',
      '::1',
      '10.0.0.1',
      '8',
      '99999',
      'pod:',
      'a',
      '\u0000',
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(pieces, { maxLength: 8 }).map(parts => parts.join('')),
    )
    fc.assert(
      fc.property(text, end => {
        const parsed = parseEndFilter(end)
        expect(parsed.ok ? parsed.filter : parsed.problem).toBeDefined()
        expect(passes(row!, { from: [end] }, { to: [end] })).toBeTypeOf('boolean')
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('a filter of verdicts', () => {
  const refused = rowsOf({
    records: [{ kind: packKind(Protocol.tcp, Role.client, State.failed, EndReason.refused) }],
  })[0]!
  const torn = rowsOf({
    records: [{ kind: packKind(Protocol.tcp, Role.client, State.closed, EndReason.rstSent) }],
  })[0]!
  const half = rowsOf({
    records: [{ kind: packKind(Protocol.tcp, Role.server, State.halfOpen, EndReason.timedOut) }],
  })[0]!

  it.each([
    ['failed', [true, false, false]],
    ['refused', [true, false, false]],
    ['reset', [false, true, false]],
    ['closed', [false, true, false]],
    ['half_open', [false, false, true]],
    ['halfOpen', [false, false, true]],
    ['timed-out', [false, false, true]],
  ])('%s', (word, expected) => {
    expect(verdictProblem(word)).toBeUndefined()
    expect([refused, torn, half].map(one => passes(one, { verdict: [word] }))).toEqual(expected)
  })

  it('passes what fits one word of each flag, and nothing that a reversed one names', () => {
    expect(passes(refused, { verdict: ['reset', 'refused'], proto: ['tcp'] })).toBe(true)
    expect(passes(refused, { verdict: ['refused'], proto: ['udp'] })).toBe(false)
    expect(passes(refused, { verdict: ['failed'] }, { to: [':80'] })).toBe(false)
    expect(passes(refused, { verdict: ['failed'] }, { to: [':81'] })).toBe(true)
  })

  it('names the words that there are', () => {
    expect(verdictProblem('toString')).toMatch(/must be one of open, closed, .* not "toString"/)
  })
})
