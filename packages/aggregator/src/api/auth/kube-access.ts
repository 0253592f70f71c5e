import { createHash } from 'node:crypto'
import type { AccessReviews, KubeUser } from '../../kube/access-reviews.ts'
import { createReviewBudget, type ReviewBudget } from '../../kube/review-budget.ts'
import { createReviewCache } from '../../kube/review-cache.ts'
import { createTokenBudget } from '../../kube/token-budget.ts'
import { tokenExpiryMs } from '../../kube/token-expiry.ts'
import { RequestProblem } from '../problem.ts'
import type { OwnPath, Viewer } from './viewer.ts'

export interface KubeAccessOptions {
  readonly reviews: AccessReviews
  /** Namespaces that may occur in answers. One that is missing is hidden. */
  readonly namespaces: () => readonly string[]
  readonly log: { warn(fields: object, message: string): void }
  /** Unix milliseconds. */
  readonly nowMs: () => number
}

/** Who the bearer of a token, who asks from an address, is to Kubernetes and may see; rejects with the refusal. */
export type KubeAccess = (token: string, address: string) => Promise<Viewer>

const tokenForm = /^[A-Za-z0-9\-._~+/]+=*$/
const longestToken = 8192
const keptTokens = 4096
const keptRights = 65_536
const knownMs = 60_000
const refusedMs = 10_000
const rightsMs = 60_000
const reviewsAtOnce = 32
const quietMs = 10_000

/**
 * What asks the API server is bounded apart for tokens and for rights, and tokens that were good before have a bound of
 * their own: guesses at tokens cost nobody else, but newcomers if many addresses guess at once.
 */
export const reviewLimits = {
  tokens: {
    strangers: { burst: 100, perSecond: 20 },
    oneAddress: { burst: 50, perSecond: 5 },
    known: { burst: 500, perSecond: 50 },
  },
  rights: { burst: 2000, perSecond: 200 },
} as const

/**
 * Answers hold for a minute, those about unknown tokens for ten seconds, and none longer than its token. What cannot be
 * asked and is not known is refused: 401 who is nobody, 403 who may list pods nowhere, 503 while Kubernetes cannot say.
 */
export function createKubeAccess(options: KubeAccessOptions): KubeAccess {
  const { reviews, nowMs } = options
  const { tokens, rights } = reviewLimits
  const tokenBudget = createTokenBudget(tokens, nowMs)
  const rightsBudget = createReviewBudget(rights.burst, rights.perSecond, nowMs)
  const users = createReviewCache<{ user: KubeUser | undefined; expiresMs: number }>({
    max: keptTokens,
    nowMs,
    keepMs: ({ user, expiresMs }) => (user ? Math.max(0, Math.min(knownMs, expiresMs - nowMs())) : refusedMs),
  })
  const allowed = createReviewCache<boolean>({ max: keptRights, nowMs, keepMs: () => rightsMs })
  let loggedMs = Number.NEGATIVE_INFINITY

  async function asked<T>(budget: Pick<ReviewBudget, 'take'>, question: () => Promise<T>): Promise<T> {
    if (!budget.take()) throw unknown('Kubernetes is asked about too many tokens and rights just now', 1)
    try {
      return await question()
    } catch (error) {
      if (nowMs() - loggedMs >= quietMs) {
        loggedMs = nowMs()
        options.log.warn({ err: error }, 'Kubernetes cannot be asked who may see what')
      }
      throw unknown('Kubernetes cannot be asked who may see what', 5)
    }
  }

  function isAllowed(user: KubeUser, what: string, question: () => Promise<boolean>): Promise<boolean> {
    return allowed.get(digestOf(JSON.stringify([user, what])), () => asked(rightsBudget, question))
  }

  const mayList = (user: KubeUser, namespace: string) =>
    isAllowed(user, `pods in ${namespace}`, () => reviews.mayListPods(user, namespace))

  async function visibleTo(user: KubeUser): Promise<string[]> {
    const all = [...new Set(options.namespaces())].filter(name => name !== '').sort()
    const visible: string[] = []
    for (let i = 0; i < all.length; i += reviewsAtOnce) {
      const some = all.slice(i, i + reviewsAtOnce)
      const may = await Promise.all(some.map(namespace => mayList(user, namespace)))
      visible.push(...some.filter((_, at) => may[at]))
    }
    return visible
  }

  return async function viewerOf(token, address) {
    if (token.length > longestToken || !tokenForm.test(token)) throw nobody()
    const digest = digestOf(token)
    const { user } = await users.get(digest, () =>
      asked({ take: () => tokenBudget.take(digest, address) }, async () => ({
        user: await reviews.userOf(token),
        expiresMs: tokenExpiryMs(token),
      })),
    )
    if (user === undefined) throw nobody()
    tokenBudget.wasGood(digest)
    const isOfAll = await mayList(user, '')
    const scope = isOfAll ? undefined : { namespaces: await visibleTo(user) }
    const mayRead = async (path: OwnPath) =>
      isOfAll || isAllowed(user, `get ${path}`, () => reviews.mayGet(user, path))
    return { scope, mayRead, again: () => viewerOf(token, address) }
  }
}

function nobody(): RequestProblem {
  return new RequestProblem(401, 'unauthorized', 'Kubernetes does not know this token, or it is over.')
}

function unknown(why: string, retryAfterSeconds: number): RequestProblem {
  return new RequestProblem(503, 'access-unknown', `${why}, and nothing is shown without it; ask again.`, {
    retryAfterSeconds,
  })
}

/** Tokens are not kept, and rights belong to all that a user is. */
function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
