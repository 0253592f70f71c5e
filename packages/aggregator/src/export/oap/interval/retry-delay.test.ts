import { expect, it } from 'vitest'
import { retryDelayMs, type Trouble } from './retry-delay.ts'

/** The shortest and the longest pause after 1, 2, … failures. */
const pauses = (trouble: Trouble, failures: number) =>
  Array.from({ length: failures }, (_, i) => [
    retryDelayMs(i + 1, trouble, 0),
    retryDelayMs(i + 1, trouble, 1 - Number.EPSILON),
  ]).map(both => both.map(Math.round))

it('pauses twice as long each time, half of it random, up to 30 s', () => {
  expect(pauses('brief', 7)).toEqual([
    [500, 1_000],
    [1_000, 2_000],
    [2_000, 4_000],
    [4_000, 8_000],
    [8_000, 16_000],
    [15_000, 30_000],
    [15_000, 30_000],
  ])
})

it('pauses from 15 s up to a minute where somebody has to change something', () => {
  expect(pauses('lasting', 4)).toEqual([
    [7_500, 15_000],
    [15_000, 30_000],
    [30_000, 60_000],
    [30_000, 60_000],
  ])
})

it('stays there, however often it failed', () => {
  for (const failures of [100, 1e6, Number.MAX_SAFE_INTEGER]) {
    expect(retryDelayMs(failures, 'brief', 0.5)).toBe(22_500)
    expect(retryDelayMs(failures, 'lasting', 0.5)).toBe(45_000)
  }
})
