import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createSamplingControl,
  defaultBudgetCores,
  maxSamplingExponent,
  parseSampling,
} from './sampling-control.ts'

const readingMs = 5_000

describe('createSamplingControl', () => {
  it('halves the rate when over the budget twice in a row, and doubles it when there is room', () => {
    const control = createSamplingControl('adaptive', 0.1)
    let now = 0
    const load = (cores: number, readings = 1) => {
      for (let n = 0; n < readings; n++) {
        now += readingMs
        control.note(cores * readingMs, readingMs, now)
      }
    }
    load(0.2)
    load(0.05)
    load(0.2)
    expect(control.exponent).toBe(0)
    load(0.2)
    expect(control.exponent).toBe(1)
    load(0.2, 2)
    expect(control.exponent).toBe(2)
    load(0.07, 100)
    expect(control.exponent).toBe(2)
    load(0.04, 6)
    expect(control.exponent).toBe(1)
    expect(control.events.map(({ from, to, reason }) => [from, to, reason])).toEqual([
      [0, 1, 'over budget'],
      [1, 2, 'over budget'],
      [2, 1, 'room again'],
    ])
    expect(control.events.at(-1)!.cpuCores).toBeCloseTo(0.04)
  })

  it('leaves a fixed rate alone, and takes another one when told', () => {
    const control = createSamplingControl(3, 0.1)
    for (let n = 1; n <= 20; n++) control.note(readingMs, readingMs, n * readingMs)
    expect(control.exponent).toBe(3)
    control.configure(1, 7)
    expect([control.exponent, control.events]).toEqual([
      1,
      [{ atUnixMs: 7, from: 3, to: 1, reason: 'configured' }],
    ])
    control.configure('adaptive', 8)
    expect(control.exponent).toBe(1)
  })

  it('stays within its bounds and remembers a bounded number of changes, whatever the load', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 4, noNaN: true }), { maxLength: 400 }), loads => {
        const control = createSamplingControl('adaptive', 0.5)
        loads.forEach((cores, n) => {
          control.note(cores * readingMs, readingMs, n)
          expect(control.exponent).toBeGreaterThanOrEqual(0)
          expect(control.exponent).toBeLessThanOrEqual(maxSamplingExponent)
        })
        expect(control.events.length).toBeLessThanOrEqual(32)
      }),
    )
  })
})

describe('parseSampling', () => {
  it.each([
    ['all', 0],
    ['1/2', 1],
    ['1/32768', 15],
    ['adaptive', 'adaptive'],
    ['1/3', undefined],
    ['1/65536', undefined],
    ['0', undefined],
    ['half', undefined],
  ])('%s is %s', (text, mode) => {
    expect(parseSampling(text)).toBe(mode)
  })

  it('gives a collector 3 % of the machine, at most half a core', () => {
    expect(defaultBudgetCores(2)).toBeCloseTo(0.06)
    expect(defaultBudgetCores(64)).toBe(0.5)
  })
})
