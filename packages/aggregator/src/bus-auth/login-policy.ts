import { layoutBucket, nodeToken } from '@skybraid/shared/nats'
import type { KubeUser } from '../kube/access-reviews.ts'

export interface LoginPolicy {
  readonly cluster: string
  /** `NAMESPACE/NAME` of the collectors' service account. */
  readonly serviceAccount: string
}

export interface Login {
  readonly node: string
  readonly publish: readonly string[]
  readonly subscribe: readonly string[]
}

const nodeExtra = 'authentication.kubernetes.io/node-name'
const nodeForm = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

/**
 * What the bearer of a token may do on the bus: publish as the node that the pod runs on, which Kubernetes wrote into
 * the token, and hear the answers to that. A text is why it may do nothing.
 */
export function loginOf(user: KubeUser, { cluster, serviceAccount }: LoginPolicy): Login | string {
  const [namespace, name] = serviceAccount.split('/')
  if (user.username !== `system:serviceaccount:${namespace}:${name}`)
    return `${user.username} is not the service account of collectors`
  const [node, ...more] = user.extra[nodeExtra] ?? []
  if (node === undefined || more.length > 0 || !nodeForm.test(node))
    return 'the token names no node: it is not one that a kubelet asked for (or Kubernetes is older than 1.32)'
  const token = nodeToken(node)
  return {
    node,
    publish: [`skybraid.v1.${cluster}.flow.*.${token}`, `$JS.API.DIRECT.GET.KV_${layoutBucket(cluster)}.>`],
    subscribe: [`_INBOX_${token}.>`],
  }
}
