import type { KubeTransport } from './kube-transport.ts'

/** Whom the API server takes the bearer of a token for. */
export interface KubeUser {
  readonly username: string
  readonly uid: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/** Questions to the API server about somebody else's rights. They reject where it cannot be asked. */
export interface AccessReviews {
  /** Undefined if the token is none, or is over, or is for somebody else to hear. */
  userOf(token: string): Promise<KubeUser | undefined>
  /** In one namespace, or in all of them where it is empty. */
  mayListPods(user: KubeUser, namespace: string): Promise<boolean>
  /** May get a path that is no resource, as `/metrics`. */
  mayGet(user: KubeUser, path: string): Promise<boolean>
}

const reviewMs = 3_000

/** `audience` is whom tokens must be for; where it is empty, the API server itself. */
export function createAccessReviews(transport: KubeTransport, audience = ''): AccessReviews {
  async function isAllowed(user: KubeUser, attributes: object): Promise<boolean> {
    const { username, uid, groups, extra } = user
    const spec = { user: username, uid, groups, extra, ...attributes }
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews'
    const status = await review(transport, path, 'authorization.k8s.io/v1', 'SubjectAccessReview', spec)
    return status.allowed === true && status.denied !== true
  }

  return {
    async userOf(token) {
      const spec = { token, ...(audience !== '' && { audiences: [audience] }) }
      const path = '/apis/authentication.k8s.io/v1/tokenreviews'
      const status = await review(transport, path, 'authentication.k8s.io/v1', 'TokenReview', spec)
      if (status.authenticated !== true) return undefined
      // a server that knows nothing of audiences answers for any of them
      if (audience !== '' && !strings(status.audiences).includes(audience)) return undefined
      return userOf(record(status.user))
    },
    mayListPods: (user, namespace) =>
      isAllowed(user, { resourceAttributes: { namespace, verb: 'list', version: 'v1', resource: 'pods' } }),
    mayGet: (user, path) => isAllowed(user, { nonResourceAttributes: { path, verb: 'get' } }),
  }
}

async function review(
  transport: KubeTransport,
  path: string,
  apiVersion: string,
  kind: string,
  spec: object,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await transport.create(path, { apiVersion, kind, spec }, AbortSignal.timeout(reviewMs))
  return record(record(answer).status)
}

function userOf(user: Readonly<Record<string, unknown>>): KubeUser | undefined {
  const { username, uid, groups, extra } = user
  if (typeof username !== 'string' || username === '') return undefined
  return {
    username,
    uid: typeof uid === 'string' ? uid : '',
    groups: strings(groups),
    extra: Object.fromEntries(Object.entries(record(extra)).map(([key, values]) => [key, strings(values)])),
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(v => typeof v === 'string') : []
}
