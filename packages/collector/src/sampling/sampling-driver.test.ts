import { describe, expect, it, vi } from 'vitest'
import { manualClock } from '../manual-clock.testing.ts'
import type { SamplingMode } from './sampling-control.ts'
import { driveSampling } from './sampling-driver.ts'

function setUp(mode: SamplingMode) {
  const clock = manualClock()
  const apply = vi.fn()
  const load = { cores: 0, usedMs: 0 }
  const sampling = driveSampling({ mode, budgetCores: 0.1, clock, cpuMs: () => load.usedMs, apply })
  const run = (cores: number, seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      load.usedMs += cores * 1_000
      clock.advance(1_000)
    }
  }
  return { clock, apply, sampling, run }
}

describe('driveSampling', () => {
  it('puts a configured rate in force at once, and another when told', () => {
    const { apply, sampling } = setUp(2)
    sampling.configure(0)
    expect(apply.mock.calls).toEqual([[2], [0]])
    expect(sampling.status()).toMatchObject({ oneIn: 1, isAdaptive: false })
  })

  it('follows the processor time of the last seconds', () => {
    const { apply, sampling, run } = setUp('adaptive')
    run(0.3, 10)
    expect(apply.mock.calls).toEqual([[1]])
    expect(sampling.status()).toMatchObject({
      oneIn: 2,
      isAdaptive: true,
      events: [{ from: 0, to: 1, reason: 'over budget' }],
    })
    run(0.01, 30)
    expect(apply.mock.calls).toEqual([[1], [0]])
  })

  it('leaves no timer behind', () => {
    const { clock, sampling } = setUp('adaptive')
    sampling.stop()
    expect(clock.pendingTimers).toBe(0)
  })
})
