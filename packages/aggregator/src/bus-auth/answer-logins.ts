import { createHash } from 'node:crypto'
import { type AuthorizationRequest, decode, encodeAuthorizationResponse, encodeUser } from '@nats-io/jwt'
import type { KeyPair } from '@nats-io/nkeys'
import type { NatsLink, NatsLog } from '@skybraid/shared/nats'
import { LRUCache } from 'lru-cache'
import type { AccessReviews, KubeUser } from '../kube/access-reviews.ts'
import { createReviewCache } from '../kube/review-cache.ts'
import { createTokenBudget } from '../kube/token-budget.ts'
import { tokenExpiryMs } from '../kube/token-expiry.ts'
import { type LoginPolicy, loginOf } from './login-policy.ts'

export interface LoginAnswers extends LoginPolicy {
  readonly link: NatsLink
  readonly reviews: AccessReviews
  readonly issuer: KeyPair
  /** Account that logins belong to. */
  readonly account: string
  readonly log: NatsLog
  /** Unix milliseconds. */
  readonly nowMs: () => number
}

export interface LoginCounts {
  /** Logins by outcome. `malformed` are requests that no server of the bus makes. */
  readonly allowed: number
  readonly refused: number
  readonly unknown: number
  readonly malformed: number
}

type Outcome = keyof LoginCounts

const subject = '$SYS.REQ.USER.AUTH'
/** Whoever of several answers first is enough. */
const queue = 'skybraid-bus-auth'
const longestToken = 8192
const mostKept = 4096
const knownMs = 10_000
const longestLoginMs = 60 * 60_000
const quietMs = 10_000
const mostReasons = 64
const mostPayload = 256 * 1024
const unlimited = -1
/** A whole cluster that comes back at once is about 31 logins a second, and from one node come few. */
const reviews = {
  strangers: { burst: 500, perSecond: 100 },
  oneAddress: { burst: 20, perSecond: 2 },
  known: { burst: 500, perSecond: 100 },
}

/** Answers what servers of the bus ask about logins, until the link is closed. */
export function answerLogins(options: LoginAnswers): { counts(): LoginCounts } {
  const { link, issuer, nowMs, log } = options
  const counts: Record<Outcome, number> = { allowed: 0, refused: 0, unknown: 0, malformed: 0 }
  const logged = new LRUCache<string, number>({ max: mostReasons })
  const budget = createTokenBudget(reviews, nowMs)
  const users = createReviewCache<KubeUser | undefined>({ max: mostKept, nowMs, keepMs: () => knownMs })

  async function userOf(token: string, address: string): Promise<KubeUser | undefined> {
    const key = createHash('sha256').update(token).digest('base64url')
    const user = await users.get(key, () => {
      if (!budget.take(key, address)) throw new Error('too many logins at once')
      return options.reviews.userOf(token)
    })
    if (user !== undefined) budget.wasGood(key)
    return user
  }

  /** The user that the server may let in, as a JWT, or why it may not. */
  async function decide({ connect_opts, user_nkey, client_info }: AuthorizationRequest) {
    const token = connect_opts.auth_token ?? ''
    if (token === '' || token.length > longestToken)
      return { outcome: 'refused', error: 'no token was sent' } as const
    const user = await userOf(token, client_info?.host ?? '')
    if (user === undefined)
      return {
        outcome: 'refused',
        error: 'Kubernetes does not know the token for this bus, or it is over',
      } as const
    const login = loginOf(user, options)
    if (typeof login === 'string') return { outcome: 'refused', error: login } as const
    const untilMs = Math.min(tokenExpiryMs(token), nowMs() + longestLoginMs)
    if (untilMs <= nowMs()) return { outcome: 'refused', error: 'the token is over' } as const
    const jwt = await encodeUser(
      login.node,
      user_nkey,
      issuer,
      {
        pub: { allow: [...login.publish], deny: [] },
        sub: { allow: [...login.subscribe], deny: [] },
        ...{ subs: unlimited, data: unlimited, payload: mostPayload },
      },
      { aud: options.account, exp: Math.floor(untilMs / 1000) },
    )
    return { outcome: 'allowed', jwt } as const
  }

  async function answer(request: AuthorizationRequest): Promise<string> {
    const decision = await decide(request).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error)
      return { outcome: 'unknown', error: `Kubernetes cannot be asked about the token: ${why}` } as const
    })
    note(decision.outcome, 'error' in decision ? decision.error : undefined, request)
    const said = 'jwt' in decision ? { jwt: decision.jwt } : { error: decision.error }
    return encodeAuthorizationResponse(request.user_nkey, request.server_id.id, issuer, said, {})
  }

  function note(outcome: Outcome, why: string | undefined, request?: AuthorizationRequest): void {
    counts[outcome]++
    if (why === undefined || nowMs() - (logged.get(why) ?? 0) < quietMs) return
    logged.set(why, nowMs())
    const { name, host } = request?.client_info ?? {}
    log.warn({ client: name, host, reason: why }, 'a login to the bus was not allowed')
  }

  link.connection.subscribe(subject, {
    queue,
    callback(error, message) {
      if (error) return
      const request = requestOf(message.string())
      if (request === undefined) note('malformed', 'this is no question of a server')
      else void answer(request).then(text => message.respond(text))
    },
  })
  return { counts: () => ({ ...counts }) }
}

/** Undefined for what is not signed by the server that it names. */
function requestOf(text: string): AuthorizationRequest | undefined {
  try {
    const { iss, nats } = decode<AuthorizationRequest>(text)
    const { server_id, user_nkey, connect_opts } = nats
    if (!server_id || server_id.id !== iss || !/^N/.test(iss) || !/^U/.test(user_nkey ?? '') || !connect_opts)
      return undefined
    return nats as AuthorizationRequest
  } catch {
    return undefined
  }
}
