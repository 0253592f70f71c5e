import type { Claim } from './address-claims.ts'
import type { Entity } from './entity.ts'
import type { KubeIdentity } from './kube-identity.ts'

/** Somebody's hold of an address; compared by reference, read by the source alone. */
export type AddressClaim = Claim<unknown>

/**
 * Something that can name entities better than the kernel alone: Kubernetes. It answers from what it holds and never
 * waits; what it does not know yet it may know later.
 */
export interface NameSource {
  /** Who held an address at a time (Unix milliseconds); undefined if not known, or if it could have been two. */
  claimAt(w0: number, w1: number, w2: number, w3: number, atMs: number): AddressClaim | undefined
  /** Who held it all the time from one moment to another. */
  claimOver(
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    fromMs: number,
    toMs: number,
  ): AddressClaim | undefined
  /** True if the address, held by nobody known, is of a sort that somebody may turn out to have held. */
  mayBeClaimed(w0: number, w1: number, w2: number, w3: number): boolean
  /** True if somebody is known ever to have held the address. */
  isClaimed(w0: number, w1: number, w2: number, w3: number): boolean
  /** True if the claim may have ended without this being known yet. */
  isShaky(claim: AddressClaim): boolean
  identityOfClaim(claim: AddressClaim): KubeIdentity
  identityOfProcess(entity: Entity): KubeIdentity | undefined
  /** The service whose name in the cluster's DNS, or outside of it, this is. */
  identityOfDnsName(name: string, atMs: number): KubeIdentity | undefined
  /** The service that opened this port on every node. */
  identityOfNodePort(port: number, atMs: number): KubeIdentity | undefined
  zoneOf(node: string): string
  /** What an earlier process knew of a pod that may be gone since. */
  remember(podUid: string, identity: KubeIdentity): void
  /** A namespace in which something was, of which an earlier process knew. */
  noteNamespace(namespace: string): void
  /** Grows whenever an answer that was given may have changed. */
  revision(): number
}
