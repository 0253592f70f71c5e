import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseInstant, parseTimeRange, parseWindow } from './time-range.ts'

const nowMs = Date.parse('2026-11-23T07:30:20Z')
const dayMs = 86_400_000
const iso = (ms: number) => new Date(ms).toISOString()

function range(given: Parameters<typeof parseTimeRange>[0]) {
  const result = parseTimeRange(given, nowMs, dayMs)
  if (!result.ok) throw new Error(JSON.stringify(result.errors))
  return [iso(result.range.fromMs), iso(result.range.toMs), result.range.relative]
}

function refused(given: Parameters<typeof parseTimeRange>[0]) {
  const result = parseTimeRange(given, nowMs, dayMs)
  return result.ok ? [] : result.errors.map(error => error.parameter)
}

describe('parseTimeRange', () => {
  it('ends with the running minute unless told otherwise', () => {
    expect(range({})).toEqual(['2026-11-23T07:26:00.000Z', '2026-11-23T07:31:00.000Z', true])
    expect(range({ window: '120s' })).toEqual(['2026-11-23T07:29:00.000Z', '2026-11-23T07:31:00.000Z', true])
    expect(range({ from: '2026-11-23T07:00:30Z' })).toEqual([
      '2026-11-23T07:00:00.000Z',
      '2026-11-23T07:31:00.000Z',
      true,
    ])
  })

  it('takes from and to, or at, and widens them to whole minutes', () => {
    const from = '2026-11-23T06:00:59.999Z'
    const to = String(Date.parse('2026-11-23T06:10:00.001Z'))
    expect(range({ from, to })).toEqual(['2026-11-23T06:00:00.000Z', '2026-11-23T06:11:00.000Z', false])
    expect(range({ at: '2026-11-23T08:00:00+01:30' })).toEqual([
      '2026-11-23T06:25:00.000Z',
      '2026-11-23T06:30:00.000Z',
      false,
    ])
  })

  it.each([
    [{ window: '0m' }, ['window']],
    [{ window: '90s' }, ['window']],
    [{ window: '5 m' }, ['window']],
    [{ window: '25h' }, ['window']],
    [{ from: '2016-11-23T07:00:00Z' }, ['from']],
    [{ from: 'yesterday' }, ['from']],
    [{ from: '1763880000' }, ['from']],
    [{ from: '2026-11-31T00:00:00Z' }, ['from']],
    [{ from: '2026-11-23T07:00:00Z', to: '2026-11-23T06:00:00Z' }, ['from']],
    [{ to: '2026-11-23T09:00:00Z' }, ['to']],
    [{ at: '2026-11-23T07:00:00Z', from: '2026-11-23T06:00:00Z' }, ['at']],
    [{ window: '5m', from: '2026-11-23T07:00:00Z' }, ['window']],
  ])('refuses %j', (given, parameters) => {
    expect(refused(given)).toEqual(parameters)
  })

  it('answers whole minutes within the limit for whatever it accepts', () => {
    const instant = fc.oneof(
      fc.string(),
      fc.integer({ min: nowMs - 3 * dayMs, max: nowMs + dayMs }).map(String),
      fc
        .date({ min: new Date(nowMs - 3 * dayMs), max: new Date(nowMs), noInvalidDate: true })
        .map(d => d.toISOString()),
    )
    const given = fc.record(
      { window: fc.constantFrom('1m', '5m', '2h', 'x'), from: instant, to: instant, at: instant },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(given, parameters => {
        const result = parseTimeRange(parameters as object, nowMs, dayMs)
        if (!result.ok) return result.errors.length > 0
        const { fromMs, toMs } = result.range
        return fromMs % 60_000 === 0 && toMs % 60_000 === 0 && toMs > fromMs && toMs - fromMs <= dayMs
      }),
    )
  })
})

describe('parseInstant and parseWindow', () => {
  it('refuse what only looks like a time', () => {
    for (const text of [
      '',
      '12',
      '2026-11-23',
      '2026-11-23 07:00:00Z',
      '2026-02-30T00:00:00Z',
      '9999999999999999',
    ]) {
      expect(parseInstant(text), text).toBeUndefined()
    }
    expect(parseInstant('2026-11-23t07:30:20z')).toBe(nowMs)
    for (const text of ['', 'm', '-5m', '5', '5.5m', '1e3m', '99999999m'])
      expect(parseWindow(text), text).toBeUndefined()
  })
})
