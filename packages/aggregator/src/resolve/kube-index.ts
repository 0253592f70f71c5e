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
  put(object: KubeObject, seenMs: number): void
  gone(kind: KubeKind, uid: string, seenMs: number): void
  /** After a complete list: whatever else was known of this kind went away unseen, no one knows when since `sinceMs`. */
  keepOnly(kind: KubeKind, uids: ReadonlySet<string>, sinceMs: number): void
  /** By UID, or by the configuration hash of a static pod of a node. */
  pod(uid: string, node: string): PodRecord | undefined
  services(namespace: string, name: string): readonly ServiceRecord[]
  /** Services, as `namespace/name`, that a pod stands or stood behind. */
  servicesOf(podUid: string): readonly string[]
  /** The service that stands for a name outside the cluster. */
  external(name: string): ServiceRecord | undefined
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
const noServices: readonly string[] = []

export function createKubeIndex(listener: KubeIndexListener, options: KubeIndexOptions = {}): KubeIndex {
  const pods = new Map<string, PodRecord>()
  const staticPods = new Map<string, PodRecord>()
  const services = new Map<string, ServiceRecord>()
  const servicesByName = new Map<string, ServiceRecord[]>()
  const externalNames = new Map<string, ServiceRecord>()
  const nodePorts = new Map<number, ServiceRecord[]>()
  const slices = new Map<string, SliceRecord>()
  const nodes = new Map<string, NodeRecord>()
  const nodesByName = new Map<string, NodeRecord>()
  const owners = new Map<string, KubeOwner>()
  /** Pods of one service share a list: most stand behind one alone. */
  const podServices = new Map<string, readonly string[]>()
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
    if (kind === 'pod') podServices.delete(uid)
    if (!record || kind === 'owner') return
    dropped.add(record)
    if (record.kind === 'pod' && staticPods.get(staticKey(record.pod)) === record)
      staticPods.delete(staticKey(record.pod))
    if (record.kind === 'service') {
      const key = `${record.service.namespace}/${record.service.name}`
      const left = servicesByName.get(key)?.filter(s => s !== record) ?? []
      if (left.length > 0) servicesByName.set(key, left)
      else servicesByName.delete(key)
      if (externalNames.get(record.service.externalName) === record)
        externalNames.delete(record.service.externalName)
      for (const [port, all] of nodePorts) {
        const others = all.filter(s => s !== record)
        if (others.length > 0) nodePorts.set(port, others)
        else nodePorts.delete(port)
      }
    }
    if (record.kind === 'node' && nodesByName.get(record.node.name) === record)
      nodesByName.delete(record.node.name)
  }

  /** The claim of a record on an address, made with times that are to be mended if it is new. */
  function claimOf(record: KubeRecord, address: string, isExternal: boolean): Claim<Holder> | undefined {
    const known = claimOn(record, address)
    if (known) return known
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
      const claim = claimOf(record, address, false)
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

  function putService(service: KubeService): void {
    const known = services.get(service.uid)
    if (known && !isNewer(service.version, known.service.version)) return
    const record: ServiceRecord = known ?? {
      kind: 'service',
      service,
      goneMs: Number.POSITIVE_INFINITY,
      claims: [],
    }
    record.service = service
    if (!known) {
      services.set(service.uid, record)
      const key = `${service.namespace}/${service.name}`
      servicesByName.set(key, [...(servicesByName.get(key) ?? []), record])
    }
    if (service.externalName !== '') externalNames.set(service.externalName, record)
    for (const port of service.nodePorts) {
      const all = nodePorts.get(port) ?? []
      if (!all.includes(record)) nodePorts.set(port, [...all, record])
    }
    holdSince(record, service.clusterAddresses, service.createdMs, false)
    holdSince(record, service.externalAddresses, service.createdMs, true)
    listener.otherChanged('service')
  }

  function holdSince(
    record: KubeRecord,
    addresses: readonly string[],
    createdMs: number,
    isExternal: boolean,
  ): void {
    for (const address of addresses) {
      const claim = claimOf(record, address, isExternal)
      if (!claim) continue
      claim.fromMs = createdMs
      claim.certainMs = createdMs + secondMs
      listener.addressChanged(address)
    }
  }

  function putSlice(slice: KubeSlice): void {
    const known = slices.get(slice.uid)
    if (known && !isNewer(slice.version, known.slice.version)) return
    const record: SliceRecord = known ?? {
      kind: 'endpoint',
      slice,
      goneMs: Number.POSITIVE_INFINITY,
      claims: [],
    }
    record.slice = slice
    slices.set(slice.uid, record)
    const own = [`${slice.namespace}/${slice.service}`]
    let isNews = false
    for (const uid of slice.podUids) {
      const all = podServices.get(uid)
      if (all?.includes(own[0])) continue
      podServices.set(uid, all ? [...all, ...own] : own)
      isNews = true
    }
    holdSince(record, slice.addresses, slice.createdMs, false)
    if (isNews) listener.otherChanged('slice')
  }

  function putNode(node: KubeNode): void {
    const known = nodes.get(node.uid)
    if (known && !isNewer(node.version, known.node.version)) return
    const record: NodeRecord = known ?? {
      kind: 'node',
      node,
      goneMs: Number.POSITIVE_INFINITY,
      claims: [],
    }
    const isNews = known?.node.zone !== node.zone
    record.node = node
    nodes.set(node.uid, record)
    const named = nodesByName.get(node.name)
    if (!named || named.node.createdMs <= node.createdMs) nodesByName.set(node.name, record)
    holdSince(record, node.addresses, node.createdMs, false)
    if (isNews) listener.otherChanged('node')
  }

  function putOwner(owner: KubeOwner): void {
    const known = owners.get(owner.uid)
    if (known && !isNewer(owner.version, known.version)) return
    owners.set(owner.uid, owner)
    if (known?.owner?.uid !== owner.owner?.uid) listener.otherChanged('owner')
  }

  function put(object: KubeObject, seenMs: number): void {
    if (object.kind === 'pod') putPod(object, seenMs)
    else if (object.kind === 'service') putService(object)
    else if (object.kind === 'slice') putSlice(object)
    else if (object.kind === 'node') putNode(object)
    else putOwner(object)
    const end = gone.peek(goneKey(object.kind, object.uid))
    if (end) markGone(object.kind, object.uid, end.goneMs)
  }

  function markGone(kind: KubeKind, uid: string, atMs: number): void {
    const record = recordsOf[kind].get(uid)
    if (!record || kind === 'owner') return
    record.goneMs = atMs
    endClaims(record, atMs)
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
    keepOnly(kind, uids, sinceMs) {
      for (const uid of recordsOf[kind].keys())
        if (!uids.has(uid) && !gone.has(goneKey(kind, uid))) noteGone(kind, uid, sinceMs)
    },
    pod: (uid, node) => pods.get(uid) ?? staticPods.get(`${node} ${uid}`),
    services: (namespace, name) => servicesByName.get(`${namespace}/${name}`) ?? [],
    servicesOf: podUid => podServices.get(podUid) ?? noServices,
    external: name => externalNames.get(name),
    nodePort(port, atMs) {
      const open = nodePorts.get(port)?.filter(s => s.service.createdMs <= atMs && atMs < s.goneMs)
      return open?.length === 1 ? open[0] : undefined
    },
    node: name => nodesByName.get(name),
    nodes: () => [...nodesByName.values()],
    owner: uid => owners.get(uid),
    forget(beforeMs) {
      for (const [key, { goneMs }] of [...gone.entries()]) if (goneMs < beforeMs) gone.delete(key)
      if (dropped.size === 0) return
      claims.keep(claim => !dropped.has(claim.holder.record))
      endpoints.keep(claim => !dropped.has(claim.holder.record))
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

function claimOn({ claims }: KubeRecord, address: string): Claim<Holder> | undefined {
  return claims.find(({ holder }) => holder.address === address)
}

function goneKey(kind: KubeKind, uid: string): string {
  return `${kind} ${uid}`
}

function staticKey(pod: KubePod): string {
  return `${pod.node} ${pod.configHash}`
}

const mostContainers = 32

function rememberContainers(record: PodRecord, before: KubePod): void {
  const { containers } = before
  for (let i = 0; i < containers.length; i += 2) {
    if (record.pod.containers.includes(containers[i]) || record.containers?.has(containers[i])) continue
    record.containers ??= new Map()
    if (record.containers.size >= mostContainers)
      record.containers.delete(record.containers.keys().next().value!)
    record.containers.set(containers[i], containers[i + 1])
  }
}
