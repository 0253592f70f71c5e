import { LRUCache } from 'lru-cache'
import { createReviewBudget, type ReviewBudget } from './review-budget.ts'

export interface Allowance {
  readonly burst: number
  readonly perSecond: number
}

export interface TokenLimits {
  /** Of tokens that were not good before: all together, and those from one address. */
  readonly strangers: Allowance
  readonly oneAddress: Allowance
  /** Of tokens that were good before. */
  readonly known: Allowance
}

/**
 * How often Kubernetes is asked about tokens. Whoever guesses uses up what one address has, and never what those have
 * whose token was good before.
 */
export interface TokenBudget {
  /** Takes one question about a token, by its digest; false if there is none left now. */
  take(digest: string, address: string): boolean
  wasGood(digest: string): void
}

const mostKnown = 16_384
const mostAddresses = 16_384

export function createTokenBudget(limits: TokenLimits, nowMs: () => number): TokenBudget {
  const budgetOf = ({ burst, perSecond }: Allowance) => createReviewBudget(burst, perSecond, nowMs)
  const strangers = budgetOf(limits.strangers)
  const known = budgetOf(limits.known)
  const good = new LRUCache<string, true>({ max: mostKnown })
  const addresses = new LRUCache<string, ReviewBudget>({ max: mostAddresses })

  function ofAddress(address: string): ReviewBudget {
    const budget = addresses.get(address) ?? budgetOf(limits.oneAddress)
    addresses.set(address, budget)
    return budget
  }

  return {
    take: (digest, address) =>
      good.has(digest) ? known.take() : ofAddress(address).take() && strangers.take(),
    wasGood(digest) {
      good.set(digest, true)
    },
  }
}
