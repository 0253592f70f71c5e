import { LRUCache } from 'lru-cache'
import { type AddressClaims, type Claim, createAddressClaims } from './address-claims.ts'
import {
  isNewer,
  type KubeKind,
  type KubeNode,
  type KubeObject,
  type KubeOwner,
  type KubePod,
  type KubeService,
  type KubeSlice,
} from './kube-object.ts'
import type { Holder, KubeRecord, NodeRecord, PodRecord, ServiceRecord, SliceRecord } from './kube-record.ts'
import { rememberContainers } from './past-containers.ts'
import { createServiceMembers } from './service-members.ts'
import { createTimeHolds } from './time-holds.ts'

export interface KubeIndexOptions {
  /** Deleted objects that are remembered; the oldest go first. */
  readonly maxGone?: number
}

export interface KubeIndexStats {
  readonly pods: number
  readonly services: number
  readonly nodes: number
  readonly gone: number
  /** Deleted objects that were forgotten before their time, because there were too many. */
  readonly forgotten: number
}

/**
 * Objects of a cluster over time. Two states of one object may come in any order and any number of times: the newer one
 * counts, and what is gone stays gone.
 */
export interface KubeIndex {
  /** `heardMs`: until then nothing of this sort changed unseen. */
  put(object: KubeObject, seenMs: number, heardMs?: number): void
  gone(kind: KubeKind, uid: string, seenMs: number): void
  /**
   * After a complete list: whatever else was known of this kind, or of those among it that such a list names, went away
   * unseen, no one knows when since `sinceMs`.
   */
  keepOnly(kind: KubeKind, uids: ReadonlySet<string>, sinceMs: number, among?: ReadonlySet<string>): void
  /** By UID, or by the configuration hash of a static pod of a node. */
  pod(uid: string, node: string): PodRecord | undefined
  services(namespace: string, name: string): readonly ServiceRecord[]
  /** Services, as `namespace/name`, that a pod stands behind, or stood behind until it ended. */
  servicesOf(pod: PodRecord): readonly string[]
  /** The one service that stood for a name outside the cluster at a time. */
  external(name: string, atMs: number): ServiceRecord | undefined
  /** The one service that had this port opened on every node at a time. */
  nodePort(port: number, atMs: number): ServiceRecord | undefined
  node(name: string): NodeRecord | undefined
  nodes(): readonly NodeRecord[]
  owner(uid: string): KubeOwner | undefined
  readonly claims: AddressClaims<Holder>
  /** Backends of services that are neither pods nor nodes. */
  readonly endpoints: AddressClaims<Holder>
  /** Forgets what is gone since before a time. */
  forget(beforeMs: number): void
  stats(): KubeIndexStats
}

/** What hears of changes that may change a name. */
export interface KubeIndexListener {
  podChanged(record: PodRecord, before: KubePod | undefined): void
  addressChanged(address: string): void
  otherChanged(kind: KubeKind): void
}

/**
 * Clocks of nodes differ a little, and the API cuts times to seconds: nobody has an address for certain this close to
 * where their time begins or ends.
 */
const clockSlackMs = 500
const secondMs = 1000

/** When a state was seen, and until when nothing of its sort changed unseen; Unix milliseconds. */
interface Seen {
  readonly seenMs: number
  readonly heardMs: number
}

const unseen = { seenMs: 0, goneMs: Number.POSITIVE_INFINITY, claims: [] } as const

export function createKubeIndex(listener: KubeIndexListener, options: KubeIndexOptions = {}): KubeIndex {
  const pods = new Map<string, PodRecord>()
  const staticPods = new Map<string, PodRecord>()
  const services = new Map<string, ServiceRecord>()
  const servicesByName = new Map<string, ServiceRecord[]>()
  const externalNames = createTimeHolds<string, ServiceRecord>()
  const nodePorts = createTimeHolds<number, ServiceRecord>()
  const slices = new Map<string, SliceRecord>()
  const nodes = new Map<string, NodeRecord>()
  const nodesByName = new Map<string, NodeRecord>()
  const owners = new Map<string, KubeOwner>()
  const members = createServiceMembers()
  const claims = createAddressClaims<Holder>()
  const endpoints = createAddressClaims<Holder>()
  let forgotten = 0
  /** What is gone, in the order in which it went, and what went before it was known. */
  const gone = new LRUCache<string, { kind: KubeKind; uid: string; goneMs: number }>({
    max: options.maxGone ?? 50_000,
    dispose: ({ kind, uid }, _key, reason) => {
      if (reason !== 'evict' && reason !== 'delete') return
      if (reason === 'evict') forgotten++
      drop(kind, uid)
    },
  })
  const dropped = new Set<KubeRecord>()
  /** Records that are there and have claims that ended. */
  const moved = new Set<KubeRecord>()

  const recordsOf = {
    pod: pods as Map<string, KubeRecord>,
    service: services as Map<string, KubeRecord>,
    slice: slices as Map<string, KubeRecord>,
    node: nodes as Map<string, KubeRecord>,
    owner: owners as unknown as Map<string, KubeRecord>,
  }

  function drop(kind: KubeKind, uid: string): void {
    const record = recordsOf[kind].get(uid)
    recordsOf[kind].delete(uid)
    if (kind === 'pod') members.forgetPod(uid)
    if (!record || kind === 'owner') return
    dropped.add(record)
    if (record.kind === 'pod' && staticPods.get(staticKey(record.pod)) === record)
      staticPods.delete(staticKey(record.pod))
    if (record.kind === 'service') {
      const key = `${record.service.namespace}/${record.service.name}`
      const left = servicesByName.get(key)?.filter(s => s !== record) ?? []
      if (left.length > 0) servicesByName.set(key, left)
      else servicesByName.delete(key)
    }
    if (record.kind === 'endpoint') members.forgetSlice(record)
    if (record.kind === 'node' && nodesByName.get(record.node.name) === record)
      nodesByName.delete(record.node.name)
  }

  /** A claim of a record on an address, with times that are to be mended. */
  function addClaim(record: KubeRecord, address: string, isExternal: boolean): Claim<Holder> | undefined {
    const never = Number.POSITIVE_INFINITY
    const claim = {
      holder: { record, address, isExternal },
      fromMs: 0,
      certainMs: never,
      endsMs: never,
      untilMs: never,
      isEndKnown: false,
    }
    if (!(record.kind === 'endpoint' ? endpoints : claims).add(address, claim)) return undefined
    record.claims = [...record.claims, claim]
    return claim
  }

  function endClaims(record: KubeRecord, atMs: number): void {
    for (const claim of record.claims) {
      claim.endsMs = Math.min(claim.endsMs, atMs)
      claim.untilMs = Math.min(claim.untilMs, atMs)
      listener.addressChanged(claim.holder.address)
    }
  }

  function putPod(pod: KubePod, seenMs: number): void {
    const known = pods.get(pod.uid)
    if (known && !isNewer(pod.version, known.pod.version)) return
    const before = known?.pod
    const record: PodRecord = known ?? {
      kind: 'pod',
      pod,
      seenMs,
      goneMs: Number.POSITIVE_INFINITY,
      claims: [],
      containers: undefined,
      isAsked: false,
    }
    const sinceMs = before && before.addresses.length > 0 ? record.seenMs : undefined
    record.pod = pod
    record.seenMs = seenMs
    pods.set(pod.uid, record)
    if (pod.configHash !== '') staticPods.set(staticKey(pod), record)
    if (before) rememberContainers(record, before)
    if (!pod.hostNetwork) claimForPod(record, sinceMs, seenMs)
    listener.podChanged(record, before)
  }

  /** `sinceMs`: when the pod was last seen with other addresses; it was given new ones after that. */
  function claimForPod(record: PodRecord, sinceMs: number | undefined, seenMs: number): void {
    const { pod } = record
    for (const address of pod.addresses) {
      const isNew = claimOn(record, address) === undefined
      const claim = claimOn(record, address) ?? addClaim(record, address, false)
      if (!claim) continue
      if (isNew && sinceMs !== undefined) {
        claim.fromMs = sinceMs
        claim.certainMs = seenMs
      } else if (isNew || pod.startedMs !== undefined) {
        claim.fromMs = Math.max(claim.fromMs, (pod.startedMs ?? 0) - clockSlackMs)
        // it is known by the API, so it was given before
        claim.certainMs = Math.min(
          claim.certainMs,
          seenMs + clockSlackMs,
          (pod.runningMs ?? Number.POSITIVE_INFINITY) + clockSlackMs,
        )
      }
      if (pod.endedMs !== undefined) {
        claim.isEndKnown = true
        claim.endsMs = Math.min(claim.endsMs, pod.endedMs - clockSlackMs)
        claim.untilMs = Math.min(claim.untilMs, pod.endedMs + secondMs + clockSlackMs)
      }
      listener.addressChanged(address)
    }
    for (const claim of record.claims) {
      const { address } = claim.holder
      if (pod.addresses.includes(address)) continue
      claim.endsMs = Math.min(claim.endsMs, sinceMs ?? seenMs)
      claim.untilMs = Math.min(claim.untilMs, seenMs)
      listener.addressChanged(address)
    }
  }

  function putService(service: KubeService, seen: Seen): void {
    const known = services.get(service.uid)
    if (known && !isNewer(service.version, known.service.version)) return
    const record: ServiceRecord = known ?? { kind: 'service', service, ...unseen }
    const sinceMs = known ? Math.max(known.seenMs, seen.heardMs) : service.createdMs
    record.service = service
    if (!known) {
      services.set(service.uid, record)
      const key = `${service.namespace}/${service.name}`
      servicesByName.set(key, [...(servicesByName.get(key) ?? []), record])
    }
    const { externalName, nodePorts: ports, clusterAddresses, externalAddresses } = service
    externalNames.settle(record, externalName === '' ? [] : [externalName], sinceMs, seen.seenMs)
    nodePorts.settle(record, ports, sinceMs, seen.seenMs)
    holdAddresses(record, clusterAddresses, externalAddresses, service, seen)
    listener.otherChanged('service')
  }

  /** From now on the record has exactly these. What is `fixed` it had since it was made, if it was not seen without. */
  function holdAddresses(
    record: Exclude<KubeRecord, PodRecord>,
    fixed: readonly string[],
    others: readonly string[],
    { createdMs }: { readonly createdMs: number },
    { seenMs, heardMs }: Seen,
  ): void {
    const isFirst = record.seenMs === 0
    const sinceMs = Math.max(record.seenMs, heardMs)
    for (const claim of record.claims) {
      const { address } = claim.holder
      if (!isOpen(claim) || fixed.includes(address) || others.includes(address)) continue
      claim.endsMs = Math.min(claim.endsMs, sinceMs)
      claim.untilMs = seenMs
      moved.add(record)
      listener.addressChanged(address)
    }
    for (const address of [...fixed, ...others]) {
      if (record.claims.some(claim => isOpen(claim) && claim.holder.address === address)) continue
      const isFixed = fixed.includes(address)
      const claim = addClaim(record, address, record.kind === 'service' && !isFixed)
      if (!claim) continue
      claim.fromMs = isFirst ? createdMs : sinceMs
      claim.certainMs = isFirst && isFixed ? createdMs + secondMs : Math.max(createdMs + secondMs, seenMs)
      listener.addressChanged(address)
    }
    record.seenMs = seenMs
  }

  function putSlice(slice: KubeSlice, seen: Seen): void {
    const known = slices.get(slice.uid)
    if (known && !isNewer(slice.version, known.slice.version)) return
    const record: SliceRecord = known ?? { kind: 'endpoint', slice, ...unseen }
    const before = known?.slice
    record.slice = slice
    slices.set(slice.uid, record)
    const isNews = members.put(record, before, seen.seenMs)
    holdAddresses(record, [], slice.addresses, slice, seen)
    if (isNews) listener.otherChanged('slice')
  }

  function putNode(node: KubeNode, seen: Seen): void {
    const known = nodes.get(node.uid)
    if (known && !isNewer(node.version, known.node.version)) return
    const record: NodeRecord = known ?? { kind: 'node', node, ...unseen }
    const isNews = known?.node.zone !== node.zone
    record.node = node
    nodes.set(node.uid, record)
    const named = nodesByName.get(node.name)
    if (!named || named.node.createdMs <= node.createdMs) nodesByName.set(node.name, record)
    holdAddresses(record, [], node.addresses, node, seen)
    if (isNews) listener.otherChanged('node')
  }

  function putOwner(owner: KubeOwner): void {
    const known = owners.get(owner.uid)
    if (known && !isNewer(owner.version, known.version)) return
    owners.set(owner.uid, owner)
    if (known?.owner?.uid !== owner.owner?.uid) listener.otherChanged('owner')
  }

  function put(object: KubeObject, seenMs: number, heardMs = 0): void {
    const seen = { seenMs, heardMs: Math.max(0, heardMs - clockSlackMs) }
    if (object.kind === 'pod') putPod(object, seenMs)
    else if (object.kind === 'service') putService(object, seen)
    else if (object.kind === 'slice') putSlice(object, seen)
    else if (object.kind === 'node') putNode(object, seen)
    else putOwner(object)
    const end = gone.peek(goneKey(object.kind, object.uid))
    if (end) markGone(object.kind, object.uid, end.goneMs)
  }

  function markGone(kind: KubeKind, uid: string, atMs: number): void {
    const record = recordsOf[kind].get(uid)
    if (!record || kind === 'owner') return
    record.goneMs = atMs
    endClaims(record, atMs)
    if (record.kind === 'endpoint') members.end(record, atMs)
    if (record.kind !== 'service') return
    externalNames.settle(record, [], atMs, atMs)
    nodePorts.settle(record, [], atMs, atMs)
  }

  function noteGone(kind: KubeKind, uid: string, atMs: number): void {
    const key = goneKey(kind, uid)
    // seen twice, it went when it was first seen gone
    const goneMs = Math.min(atMs, gone.peek(key)?.goneMs ?? atMs)
    gone.set(key, { kind, uid, goneMs })
    markGone(kind, uid, goneMs)
  }

  return {
    claims,
    endpoints,
    put,
    gone: noteGone,
    keepOnly(kind, uids, sinceMs, among = undefined) {
      for (const uid of among ?? recordsOf[kind].keys())
        if (!uids.has(uid) && !gone.has(goneKey(kind, uid))) noteGone(kind, uid, sinceMs)
    },
    pod: (uid, node) => pods.get(uid) ?? staticPods.get(`${node} ${uid}`),
    services: (namespace, name) => servicesByName.get(`${namespace}/${name}`) ?? [],
    servicesOf: members.of,
    external: externalNames.at,
    nodePort: nodePorts.at,
    node: name => nodesByName.get(name),
    nodes: () => [...nodesByName.values()],
    owner: uid => owners.get(uid),
    forget(beforeMs) {
      for (const [key, { goneMs }] of [...gone.entries()]) if (goneMs < beforeMs) gone.delete(key)
      if (dropped.size === 0 && moved.size === 0) return
      const isKept = (claim: Claim<Holder>) =>
        !dropped.has(claim.holder.record) && (claim.untilMs >= beforeMs || !moved.has(claim.holder.record))
      claims.keep(isKept)
      endpoints.keep(isKept)
      for (const record of moved) {
        record.claims = record.claims.filter(isKept)
        if (record.claims.every(isOpen)) moved.delete(record)
      }
      const isThere = (record: ServiceRecord) => !dropped.has(record)
      externalNames.keep(isThere, beforeMs)
      nodePorts.keep(isThere, beforeMs)
      dropped.clear()
    },
    stats: () => ({
      pods: pods.size,
      services: services.size,
      nodes: nodes.size,
      gone: gone.size,
      forgotten,
    }),
  }
}

function isOpen({ untilMs }: Claim<Holder>): boolean {
  return untilMs === Number.POSITIVE_INFINITY
}

function claimOn({ claims }: KubeRecord, address: string): Claim<Holder> | undefined {
  return claims.find(({ holder }) => holder.address === address)
}

function goneKey(kind: KubeKind, uid: string): string {
  return `${kind} ${uid}`
}

function staticKey(pod: KubePod): string {
  return `${pod.node} ${pod.configHash}`
}
