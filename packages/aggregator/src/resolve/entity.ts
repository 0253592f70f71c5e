/** One end of an edge at the finest grain that was observed; grouping folds entities at query time. */
export interface Entity {
  readonly kind: 'process' | 'address'
  /** Node that reported it; of an address, the node that calls something by it. */
  readonly host: string
  readonly process: string
  readonly unit: string
  readonly containerId: string
  readonly podUid: string
  readonly cgroup: string
  /** Textual address; empty for processes. */
  readonly address: string
  /** Of an address that different ones held: tells apart what it was at different times. Unix milliseconds. */
  readonly sinceMs?: number
}

export type GroupBy =
  | 'process'
  | 'container'
  | 'unit'
  | 'host'
  | 'pod'
  | 'workload'
  | 'service'
  | 'node'
  | 'zone'
  | 'namespace'

/** How a name was found. */
export type FoundBy =
  | 'kernel'
  | 'pod-ip'
  | 'cluster-ip'
  | 'external-ip'
  | 'node-address'
  | 'endpoint'
  | 'dns'
  | 'cidr'
  | 'address'

/** A node of an answer: what an entity is folded into. Ids are readable and stable across restarts. */
export interface Group {
  readonly id: string
  readonly kind: GroupBy | 'outside' | 'hidden'
  readonly name: string
  /** Of Kubernetes; absent for what is in none. */
  readonly namespace?: string
  readonly parent: string
  readonly foundBy: FoundBy
}
