import { describe, expect, it } from 'vitest'
import { createTokenBudget } from './token-budget.ts'

describe('createTokenBudget', () => {
  const limits = {
    strangers: { burst: 100, perSecond: 20 },
    oneAddress: { burst: 10, perSecond: 2 },
    known: { burst: 50, perSecond: 50 },
  }

  it('lets one address guess as often as it may, and asks about the tokens of others meanwhile', () => {
    let ms = 0
    const budget = createTokenBudget(limits, () => ms)
    budget.wasGood('user')
    let asked = 0
    for (; ms < 60_000; ms += 10) {
      if (budget.take(`guess ${ms}`, '10.0.0.66')) asked++
      if (ms % 1000 === 0) {
        expect(budget.take('user', '10.0.0.7')).toBe(true)
        expect(budget.take(`newcomer ${ms}`, `10.0.1.${ms / 1000}`)).toBe(true)
      }
    }
    expect(asked).toBe(10 + 2 * 60 - 1)
  })

  it('asks about tokens that were good before, however many addresses guess', () => {
    const budget = createTokenBudget(limits, () => 0)
    budget.wasGood('user')
    const asked = Array.from({ length: 1000 }, (_, i) => budget.take('guess', `10.1.${i >> 8}.${i & 255}`))
    expect(asked.filter(Boolean)).toHaveLength(100)
    expect(budget.take('user', '10.1.0.1')).toBe(true)
  })
})
