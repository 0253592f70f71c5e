import type { Claim } from './address-claims.ts'
import type { KubeNode, KubePod, KubeService, KubeSlice } from './kube-object.ts'

/** A pod, with what was seen of it apart from its latest state. */
export interface PodRecord {
  readonly kind: 'pod'
  pod: KubePod
  /** When its latest state was seen. */
  seenMs: number
  /** Unix milliseconds; infinite while it is there. */
  goneMs: number
  /** Few, and made anew with each: a list takes a tenth of what a map does, and one that grows makes room for many. */
  claims: readonly Claim<Holder>[]
  /** Ids and names of containers that it had before; most never had others. */
  containers: Map<string, string> | undefined
  /** Somebody was told its name: a change of it matters. */
  isAsked: boolean
}

export interface ServiceRecord {
  readonly kind: 'service'
  service: KubeService
  /** When its latest state was seen; 0 before the first. */
  seenMs: number
  goneMs: number
  claims: readonly Claim<Holder>[]
}

export interface NodeRecord {
  readonly kind: 'node'
  node: KubeNode
  /** When its latest state was seen; 0 before the first. */
  seenMs: number
  goneMs: number
  claims: readonly Claim<Holder>[]
}

export interface SliceRecord {
  readonly kind: 'endpoint'
  slice: KubeSlice
  /** When its latest state was seen; 0 before the first. */
  seenMs: number
  goneMs: number
  claims: readonly Claim<Holder>[]
}

export type KubeRecord = PodRecord | ServiceRecord | NodeRecord | SliceRecord

/** Who holds an address, and what sort of address it is to them. */
export interface Holder {
  readonly record: KubeRecord
  readonly address: string
  readonly isExternal: boolean
}
