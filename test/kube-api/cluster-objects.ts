import type { ApiServer } from './api-server.ts'

/** Objects that controllers and kubelets would make, made by a test. */

export async function makeNamespace(api: ApiServer, name: string): Promise<void> {
  await api.must('POST', '/api/v1/namespaces', { metadata: { name } })
}

export async function makeServiceAccount(api: ApiServer, namespace: string, name: string): Promise<void> {
  await api.must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } })
}

export interface TokenRequest {
  readonly audiences?: readonly string[]
  readonly seconds?: number
  /** Name and UID of the pod that a kubelet asks for. */
  readonly pod?: { readonly name: string; readonly uid: string }
}

/** As `kubectl create token`, or a kubelet for a projected volume, asks for one. */
export async function tokenOf(
  api: ApiServer,
  namespace: string,
  account: string,
  { audiences, seconds = 3600, pod }: TokenRequest = {},
): Promise<string> {
  const made = await api.must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, {
    spec: {
      ...(audiences && { audiences }),
      expirationSeconds: seconds,
      ...(pod && { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', ...pod } }),
    },
  })
  return made.status.token
}

export interface Rule {
  readonly verbs: readonly string[]
  readonly apiGroups?: readonly string[]
  readonly resources?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
}

/** Gives a service account rules: in one namespace, or everywhere where that is empty. */
export async function grant(
  api: ApiServer,
  subject: { readonly namespace: string; readonly name: string },
  namespace: string,
  rules: readonly Rule[],
): Promise<string> {
  const where = namespace === '' ? 'cluster' : `namespaces/${namespace}/`
  const name = `${subject.namespace}-${subject.name}-${namespace || 'all'}`
  const base = `/apis/rbac.authorization.k8s.io/v1/${namespace === '' ? '' : where}`
  const kind = namespace === '' ? 'ClusterRole' : 'Role'
  const plural = `${kind.toLowerCase()}s`
  const bindings = `${kind.toLowerCase()}bindings`
  await api.must('POST', `${base}${plural}`, { metadata: { name }, rules })
  await api.must('POST', `${base}${bindings}`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ kind: 'ServiceAccount', ...subject }],
  })
  return `${base}${bindings}/${name}`
}

export interface PodSpec {
  readonly namespace: string
  readonly name: string
  readonly node: string
  readonly account?: string
  readonly labels?: Readonly<Record<string, string>>
}

export async function makePod(api: ApiServer, pod: PodSpec): Promise<{ name: string; uid: string }> {
  const { namespace, name, node, account, labels } = pod
  const { metadata } = await api.must('POST', `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { name, ...(labels && { labels }) },
    spec: {
      nodeName: node,
      ...(account && { serviceAccountName: account }),
      containers: [{ name: 'main', image: 'none.test/none:1' }],
      terminationGracePeriodSeconds: 0,
    },
  })
  return { name, uid: metadata.uid }
}
