import type { KubeAccess } from './kube-access.ts'
import type { TokenCheck } from './token-file.ts'

/** Who may ask: the bearer of the API's own token, whoever Kubernetes knows, or, with neither, everybody. */
export interface WaysIn {
  readonly isToken?: TokenCheck
  readonly kubeAccess?: KubeAccess
}

export function asksWho({ isToken, kubeAccess }: WaysIn): boolean {
  return isToken !== undefined || kubeAccess !== undefined
}
