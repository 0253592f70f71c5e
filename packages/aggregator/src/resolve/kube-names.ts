import { LRUCache } from 'lru-cache'
import type { Claim } from './address-claims.ts'
import { type AddressRange, addressRange, isWithin } from './address-range.ts'
import { createAddressTable } from './address-table.ts'
import { isPrivate, isV4, wordsOfText } from './address-text.ts'
import type { Entity } from './entity.ts'
import type { KubeIdentity } from './kube-identity.ts'
import { createKubeIndex, type KubeIndex, type KubeIndexOptions } from './kube-index.ts'
import type { KubePod, OwnerReference } from './kube-object.ts'
import type { Holder, PodRecord, ServiceRecord } from './kube-record.ts'
import type { NameSource } from './name-source.ts'

export interface KubeNames extends NameSource {
  /** Where the watch puts what it sees. */
  readonly index: KubeIndex
  /** The first complete lists are in: an address that nobody had is nobody's. */
  synced(): void
  /** Namespaces in which something is or was. */
  namespaces(): readonly string[]
}

const mostAsked = 65_536
const mostRemembered = 50_000
const mostOwners = 8
const mostNamespaces = 10_000
const noLabels: readonly string[] = []
const clusterName = /^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.|$)/
/** A pod of a StatefulSet is known to DNS by its own name in front of the service's. */
const podName = /^[a-z0-9-]+\.([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.|$)/

export function createKubeNames(options: KubeIndexOptions = {}): KubeNames {
  let revision = 0
  let isSynced = false
  const index = createKubeIndex(
    {
      podChanged(record, before) {
        learnNeighbours(record.pod)
        const isMissed =
          before === undefined && (missed.delete(record.pod.uid) || missed.delete(staticKey(record.pod)))
        if (isMissed || (record.isAsked && before && isNamedOtherwise(before, record.pod))) revision++
        if (isMissed) record.isAsked = true
        if (before === undefined) remembered.delete(record.pod.uid)
      },
      addressChanged(address) {
        const words = wordsOfText(address)
        if (words && askedAddresses.find(0, words.w0, words.w1, words.w2, words.w3) >= 0) revision++
      },
      otherChanged(kind) {
        if (kind === 'node') learnRanges()
        revision++
      },
    },
    options,
  )
  /** UIDs that were asked for and not known. */
  const missed = new LRUCache<string, true>({ max: mostAsked })
  const remembered = new LRUCache<string, KubeIdentity>({ max: mostRemembered })
  const namespaces = new LRUCache<string, true>({ max: mostNamespaces })
  let askedAddresses = createAddressTable()
  /** The /24 or /64 of every address that a pod or a service ever had. */
  const neighbourhoods = createAddressTable()
  let ranges: AddressRange[] = []

  function noteNamespace(namespace: string): void {
    if (namespace !== '') namespaces.set(namespace, true)
  }

  function learnNeighbours(pod: KubePod): void {
    if (pod.hostNetwork) return
    for (const address of pod.addresses) {
      const words = wordsOfText(address)
      if (!words) continue
      const [w0, w1, w2, w3] = neighbourhood(words.w0, words.w1, words.w2, words.w3)
      if (neighbourhoods.find(0, w0, w1, w2, w3) < 0) neighbourhoods.add(0, w0, w1, w2, w3, 0)
    }
  }

  function learnRanges(): void {
    const texts = new Set(index.nodes().flatMap(n => n.node.podRanges))
    ranges = [...texts].flatMap(text => addressRange(text) ?? [])
  }

  function noteAsked(w0: number, w1: number, w2: number, w3: number): void {
    if (askedAddresses.find(0, w0, w1, w2, w3) >= 0) return
    if (askedAddresses.size >= mostAsked) {
      // whoever asks again is noted again; what changes until then counts as asked for
      askedAddresses = createAddressTable()
      revision++
    }
    askedAddresses.add(0, w0, w1, w2, w3, 0)
  }

  function workloadOf(pod: KubePod): OwnerReference {
    if (!pod.owner) return { kind: 'Pod', name: pod.name, uid: pod.uid }
    let owner: OwnerReference = pod.owner
    if (owner.kind === 'Node') {
      const own = `-${pod.node}`
      return {
        ...owner,
        kind: 'StaticPod',
        name: pod.name.endsWith(own) ? pod.name.slice(0, -own.length) : pod.name,
      }
    }
    for (let step = 0; step < mostOwners; step++) {
      const above: OwnerReference | undefined = index.owner(owner.uid)?.owner
      if (!above) break
      owner = above
    }
    return owner
  }

  /** A pod behind several services is called by the one with an address of its own, if there is only one of those. */
  function serviceOf(record: PodRecord): string {
    const { pod } = record
    const all = index.servicesOf(record).map(full => full.slice(full.indexOf('/') + 1))
    if (all.length < 2) return all[0] ?? ''
    const addressed = all.filter(name =>
      index.services(pod.namespace, name).some(s => s.service.clusterAddresses.length > 0),
    )
    return addressed.length === 1 ? addressed[0] : ''
  }

  function identityOfPod(
    record: PodRecord,
    foundBy: KubeIdentity['foundBy'],
    containerId: string,
  ): KubeIdentity {
    const { pod } = record
    record.isAsked = true
    const workload = workloadOf(pod)
    const at = containerId === '' ? -1 : pod.containers.indexOf(containerId)
    return {
      kind: 'pod',
      foundBy,
      namespace: pod.namespace,
      name: pod.name,
      node: pod.node,
      zone: zoneOf(pod.node),
      workloadKind: workload.kind,
      workload: workload.name,
      service: serviceOf(record),
      container: at >= 0 ? pod.containers[at + 1] : (record.containers?.get(containerId) ?? ''),
      labels: pod.labels,
    }
  }

  function zoneOf(node: string): string {
    return index.node(node)?.node.zone ?? ''
  }

  function identityOfHolder({ record, isExternal }: Holder): KubeIdentity {
    if (record.kind === 'pod') return identityOfPod(record, 'pod-ip', '')
    if (record.kind === 'service') return serviceIdentity(record, isExternal ? 'external-ip' : 'cluster-ip')
    if (record.kind === 'endpoint')
      return bareIdentity('service', 'endpoint', record.slice.namespace, record.slice.service)
    const { name, zone } = record.node
    return { ...bareIdentity('node', 'node-address', '', name), node: name, zone }
  }

  function named(namespace: string, name: string, atMs: number): ServiceRecord | undefined {
    const all = index.services(namespace, name)
    return all.find(s => s.service.createdMs <= atMs && atMs < s.goneMs) ?? all.at(-1)
  }

  return {
    index,
    synced() {
      isSynced = true
      revision++
    },
    claimAt: (w0, w1, w2, w3, atMs) =>
      index.claims.at(w0, w1, w2, w3, atMs) ?? index.endpoints.at(w0, w1, w2, w3, atMs),
    claimOver(w0, w1, w2, w3, fromMs, toMs) {
      noteAsked(w0, w1, w2, w3)
      return (
        index.claims.over(w0, w1, w2, w3, fromMs, toMs) ??
        (index.claims.has(w0, w1, w2, w3) ? undefined : index.endpoints.over(w0, w1, w2, w3, fromMs, toMs))
      )
    },
    mayBeClaimed(w0, w1, w2, w3) {
      if (!isSynced) return isPrivate(w0, w1, w2, w3)
      if (index.claims.has(w0, w1, w2, w3) || ranges.some(range => isWithin(range, w0, w1, w2, w3)))
        return true
      const [n0, n1, n2, n3] = neighbourhood(w0, w1, w2, w3)
      return neighbourhoods.find(0, n0, n1, n2, n3) >= 0
    },
    isClaimed: (w0, w1, w2, w3) => index.claims.has(w0, w1, w2, w3) || index.endpoints.has(w0, w1, w2, w3),
    isShaky(claim) {
      const { record } = (claim as Claim<Holder>).holder
      return record.kind === 'pod' && (record.pod.deleting || record.pod.runsToCompletion)
    },
    identityOfClaim: claim => identityOfHolder((claim as Claim<Holder>).holder),
    identityOfProcess({ podUid, host, containerId }: Entity) {
      if (podUid === '') return undefined
      const record = index.pod(podUid, host)
      if (record) return identityOfPod(record, 'kernel', containerId)
      missed.set(podUid, true)
      missed.set(`${host} ${podUid}`, true)
      return remembered.get(podUid)
    },
    identityOfDnsName(name, atMs) {
      const [, service, namespace] = clusterName.exec(name) ?? podName.exec(name) ?? []
      const record = service === undefined ? index.external(name, atMs) : named(namespace, service, atMs)
      return record && serviceIdentity(record, 'dns')
    },
    identityOfNodePort(port, atMs) {
      const record = index.nodePort(port, atMs)
      return record && serviceIdentity(record, 'node-address')
    },
    zoneOf,
    namespaces: () => [...namespaces.keys()],
    noteNamespace,
    remember(podUid, identity) {
      noteNamespace(identity.namespace)
      if (!index.pod(podUid, identity.node) && !remembered.has(podUid)) {
        remembered.set(podUid, identity)
        if (missed.delete(podUid)) revision++
      }
    },
    revision: () => revision,
  }
}

function staticKey(pod: KubePod): string {
  return `${pod.node} ${pod.configHash}`
}

function isNamedOtherwise(before: KubePod, after: KubePod): boolean {
  return (
    before.node !== after.node ||
    before.owner?.uid !== after.owner?.uid ||
    before.labels !== after.labels ||
    before.containers.length !== after.containers.length ||
    before.containers.some((part, i) => part !== after.containers[i])
  )
}

function neighbourhood(w0: number, w1: number, w2: number, w3: number): [number, number, number, number] {
  return isV4(w0, w1, w2) ? [w0, w1, w2, w3 & 0xffffff] : [w0, w1, 0, 0]
}

function serviceIdentity({ service }: ServiceRecord, foundBy: KubeIdentity['foundBy']): KubeIdentity {
  return bareIdentity('service', foundBy, service.namespace, service.name)
}

function bareIdentity(
  kind: 'service' | 'node',
  foundBy: KubeIdentity['foundBy'],
  namespace: string,
  name: string,
): KubeIdentity {
  return {
    kind,
    foundBy,
    namespace,
    name,
    node: '',
    zone: '',
    workloadKind: '',
    workload: '',
    service: kind === 'service' ? name : '',
    container: '',
    labels: noLabels,
  }
}
