import type { Owner } from '@skybraid/shared'
import type { EntityId } from '../topology/edge-book.ts'
import type { OutsideRanges } from './address-range.ts'
import { createAddressTable } from './address-table.ts'
import { addressText, isThisMachine, wordsOfBytes, wordsOfText } from './address-text.ts'
import { createAddressUses } from './address-uses.ts'
import { createChangeLog } from './change-log.ts'
import { type EndFilter, isSelected } from './end-filter.ts'
import type { Entity, Group, GroupBy } from './entity.ts'
import { hostGroup, outsideGroup, processGroup } from './entity-grouping.ts'
import type { EntitySource, NodeIndex } from './entity-source.ts'
import { kubeGroup, nodeEndGroup, nodeProcessGroup } from './kube-grouping.ts'
import type { KubeIdentity } from './kube-identity.ts'
import { createLocalAddresses } from './local-addresses.ts'
import { createNameHistory, type NameVersion } from './name-history.ts'
import type { NameSource } from './name-source.ts'
import { createNodeTable } from './node-table.ts'

export interface EntityIndexOptions {
  /** Entities of both kinds that may be known at a time. */
  readonly maxEntities?: number
  readonly maxNodes?: number
  /** Addresses whose DNS names are remembered; the least recently used ones go first. */
  readonly maxNamedAddresses?: number
  readonly maxLocalAddresses?: number
  /** Asked before the names that the kernel and DNS give. */
  readonly source?: NameSource
  /** Asked where nothing else has a name. */
  readonly outside?: OutsideRanges
}

/** What is known of an entity at a time, in a form that survives a restart. */
export interface EntityKnowledge {
  readonly dns?: NameVersion
  /** The node whose own address it is. */
  readonly localTo?: string
  readonly kube?: KubeIdentity
}

export interface EntityIndex extends EntitySource {
  entity(id: EntityId): Entity | undefined
  /** Interns an entity read back from a segment; -1 at the cap. */
  ofEntity(entity: Entity): EntityId
  /** There is a Kubernetes that may name things. */
  readonly isKubernetes: boolean
  /** What Kubernetes knows of an entity; undefined for what it does not know. */
  identity(id: EntityId, atMs: number): KubeIdentity | undefined
  /** The service that was dialled at an address and port, if it was one. */
  dialled(id: EntityId, port: number, atMs: number): KubeIdentity | undefined
  /** Whether one end of a connection is of those asked for. */
  isSelected(id: EntityId, filter: EndFilter, atMs: number): boolean
  /** True for addresses by which whoever dials means itself. */
  isThisMachine(id: EntityId): boolean
  /** What an entity is folded into, at a time in Unix milliseconds. */
  group(id: EntityId, groupBy: GroupBy, atMs: number): Group
  knowledge(id: EntityId, atMs: number): EntityKnowledge
  /** Takes over what a segment knew of an address; `atMs` is the segment's time. */
  recall(id: EntityId, known: EntityKnowledge, atMs: number): void
  /** Equal for two calls if and only if no name and no ownership changed between them for times up to `atMs`. */
  revisionAt(atMs: number): number
  revision(): number
  /** Frees entities and nodes that neither `isUsed` keeps nor anybody looked up since the previous sweep. */
  sweep(isUsed: (id: EntityId) => boolean): void
  stats(): EntityStats
}

export interface EntityStats {
  readonly entities: number
  readonly nodes: number
  /** Most of the nodes that there may be are there. */
  readonly isCrowded: boolean
  /** How often there was no room for an entity or a node. */
  readonly capped: number
  readonly localRefused: number
}

const noGroup: Group = { id: 'outside/-', kind: 'outside', name: '', parent: '', foundBy: 'address' }

export function createEntityIndex(options: EntityIndexOptions = {}): EntityIndex {
  const maxEntities = options.maxEntities ?? 262_144
  const maxNodes = options.maxNodes ?? 16_384
  const { source, outside } = options
  const uses = createAddressUses()
  const settled = new Map<EntityId, KubeIdentity | undefined>()
  const settledIds = new Map<string, EntityId>()
  const nameChanges = createChangeLog()
  const names = createNameHistory(options.maxNamedAddresses ?? 65_536, () =>
    nameChanges.add(Number.NEGATIVE_INFINITY),
  )
  const locals = createLocalAddresses(options.maxLocalAddresses ?? 65_536)
  const nodes = createNodeTable(maxNodes)
  const entities: (Entity | undefined)[] = []
  const entityNode: NodeIndex[] = []
  const addressWords: number[] = []
  const free: EntityId[] = []
  const owners = new Map<string, EntityId>()
  /** Since the last sweep: the same bytes are decoded to the same object, and its key takes long to make. */
  let seenOwners = new WeakMap<Owner, { readonly nodeIndex: NodeIndex; readonly id: EntityId }>()
  /** The same for processes read back from segments. */
  let seenProcesses = new WeakMap<Entity, EntityId>()
  const addresses = createAddressTable()
  let touched = new Uint8Array(1024)
  let capped = 0

  function node(name: string): NodeIndex {
    const index = nodes.index(name)
    if (index < 0) capped++
    return index
  }

  function add(
    entity: Entity,
    nodeIndex: NodeIndex,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
  ): EntityId {
    if (free.length === 0 && entities.length >= maxEntities) {
      capped++
      return -1
    }
    const id = free.pop() ?? entities.length
    entities[id] = entity
    entityNode[id] = nodeIndex
    addressWords[id * 4] = w0 >>> 0
    addressWords[id * 4 + 1] = w1 >>> 0
    addressWords[id * 4 + 2] = w2 >>> 0
    addressWords[id * 4 + 3] = w3 >>> 0
    touch(id)
    return id
  }

  function touch(id: EntityId): void {
    if (id >= touched.length) {
      const larger = new Uint8Array(touched.length * 2)
      larger.set(touched)
      touched = larger
    }
    touched[id] = 1
  }

  function ofProcess(nodeIndex: NodeIndex, owner: Omit<Owner, 'pid'>): EntityId {
    if (nodeIndex < 0) return -1
    const { process, unit, containerId, podUid, cgroup } = owner
    const key = JSON.stringify([nodeIndex, process, unit, containerId, podUid, cgroup])
    const known = owners.get(key)
    if (known !== undefined) {
      touch(known)
      return known
    }
    const host = nodes.name(nodeIndex)
    if (host === undefined) return -1
    const entity: Entity = { kind: 'process', host, process, unit, containerId, podUid, cgroup, address: '' }
    const id = add(entity, nodeIndex, 0, 0, 0, 0)
    if (id >= 0) owners.set(key, id)
    return id
  }

  function ofOwner(nodeIndex: NodeIndex, owner: Owner): EntityId {
    const seen = seenOwners.get(owner)
    if (seen !== undefined && seen.nodeIndex === nodeIndex) {
      touch(seen.id)
      return seen.id
    }
    const id = ofProcess(nodeIndex, owner)
    if (id >= 0) seenOwners.set(owner, { nodeIndex, id })
    return id
  }

  function ofKeptProcess(entity: Entity): EntityId {
    const seen = seenProcesses.get(entity)
    if (seen !== undefined) {
      touch(seen)
      return seen
    }
    const id = ofProcess(node(entity.host), entity)
    if (id >= 0) seenProcesses.set(entity, id)
    return id
  }

  function ofAddress(
    nodeIndex: NodeIndex,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    atMs: number,
  ): EntityId {
    if (nodeIndex < 0) return -1
    const head = addresses.find(nodeIndex, w0, w1, w2, w3)
    const claim = isThisMachine(w0, w1, w2, w3) ? undefined : source?.claimAt(w0, w1, w2, w3, atMs)
    const isBrief =
      source !== undefined && (claim ? source.isShaky(claim) : source.mayBeClaimed(w0, w1, w2, w3))
    const known = uses.find(head, claim, isBrief, atMs)
    if (known >= 0) {
      touch(known)
      return known
    }
    const host = nodes.name(nodeIndex)
    if (host === undefined) return -1
    const entity = addressEntity(host, addressText(w0, w1, w2, w3))
    const id = add(entity, nodeIndex, w0, w1, w2, w3)
    if (id < 0) return -1
    uses.begin(id, head, claim, isBrief, atMs)
    if (uses.since(id) > 0) entities[id] = { ...entities[id]!, sinceMs: uses.since(id) }
    if (head < 0) addresses.add(nodeIndex, w0, w1, w2, w3, id)
    return id
  }

  /** An address that an earlier process had as an entity of its own: what it was called then is all there is to know. */
  function ofSettled(entity: Entity, w0: number, w1: number, w2: number, w3: number): EntityId {
    const nodeIndex = node(entity.host)
    const key = `${nodeIndex} ${entity.address} ${entity.sinceMs}`
    const known = settledIds.get(key)
    if (known !== undefined) {
      touch(known)
      return known
    }
    const id = nodeIndex < 0 ? -1 : add(entity, nodeIndex, w0, w1, w2, w3)
    if (id < 0) return -1
    settledIds.set(key, id)
    settled.set(id, undefined)
    return id
  }

  function identity(id: EntityId, atMs: number): KubeIdentity | undefined {
    const entity = entities[id]
    if (!entity) return undefined
    if (entity.kind === 'process') return source?.identityOfProcess(entity)
    const at = id * 4
    const w = addressWords
    if (settled.has(id)) return settled.get(id)
    if (!source || isThisMachine(w[at], w[at + 1], w[at + 2], w[at + 3])) return undefined
    const claim = source.claimOver(w[at], w[at + 1], w[at + 2], w[at + 3], uses.from(id), uses.to(id))
    if (claim) return source.identityOfClaim(claim)
    const dns = names.at(entityNode[id], entity.address, atMs)
    return dns && source.identityOfDnsName(dns.name, atMs)
  }

  function knowledge(id: EntityId, atMs: number): EntityKnowledge {
    const entity = entities[id]
    if (!entity) return {}
    const kube = identity(id, atMs)
    if (entity.kind !== 'address') return kube ? { kube } : {}
    const at = id * 4
    const w = addressWords
    const dns = names.at(entityNode[id], entity.address, atMs)
    const owner = isThisMachine(w[at], w[at + 1], w[at + 2], w[at + 3])
      ? entityNode[id]
      : source?.isClaimed(w[at], w[at + 1], w[at + 2], w[at + 3])
        ? -1
        : locals.ownerOf(entityNode[id], w[at], w[at + 1], w[at + 2], w[at + 3], atMs)
    const localTo = nodes.name(owner)
    return { ...(dns && { dns }), ...(localTo !== undefined && { localTo }), ...(kube && { kube }) }
  }

  /** Known to be no pod's: a pod's addresses are in use on its node as well, and are not the node's. */
  function isOfNode(id: EntityId): boolean {
    const entity = entities[id]
    return entity?.kind === 'process' && entity.podUid === '' && (entity.cgroup !== '' || entity.unit !== '')
  }

  function addressGroup(id: EntityId, entity: Entity, groupBy: GroupBy, atMs: number): Group {
    const { dns, localTo } = knowledge(id, atMs)
    if (localTo !== undefined)
      return source ? nodeEndGroup(localTo, source.zoneOf(localTo), groupBy, 'kernel') : hostGroup(localTo)
    if (dns) return outsideGroup(dns.name, 'dns')
    const at = id * 4
    const w = addressWords
    const range = outside?.nameOf(w[at], w[at + 1], w[at + 2], w[at + 3])
    return range === undefined ? outsideGroup(entity.address, 'address') : outsideGroup(range, 'cidr')
  }

  return {
    node,
    ofOwner,
    ofAddress,
    learnLocal(nodeIndex, owner, w0, w1, w2, w3, atMs) {
      if (nodeIndex >= 0 && (!source || isOfNode(owner))) locals.learn(nodeIndex, w0, w1, w2, w3, atMs)
    },
    learnName(nodeIndex, address, name, seenMs) {
      const words = wordsOfBytes(address)
      if (nodeIndex < 0 || !words) return
      const { w0, w1, w2, w3 } = words
      const isNew = names.learn(nodeIndex, addressText(w0, w1, w2, w3), name, seenMs)
      // what nobody talked to yet is in no answer
      if (isNew && addresses.find(nodeIndex, w0, w1, w2, w3) >= 0) nameChanges.add(seenMs)
    },
    entity: id => entities[id],
    ofEntity(entity) {
      if (entity.kind === 'process') return ofKeptProcess(entity)
      const words = wordsOfText(entity.address)
      if (!words) return -1
      const { w0, w1, w2, w3 } = words
      if (entity.sinceMs || source?.mayBeClaimed(w0, w1, w2, w3)) return ofSettled(entity, w0, w1, w2, w3)
      const nodeIndex = node(entity.host)
      const known = nodeIndex < 0 ? -1 : addresses.find(nodeIndex, w0, w1, w2, w3)
      if (known >= 0 && uses.since(known) === 0) {
        touch(known)
        return known
      }
      return source ? ofSettled(entity, w0, w1, w2, w3) : ofAddress(nodeIndex, w0, w1, w2, w3, 0)
    },
    isKubernetes: source !== undefined,
    identity,
    dialled(id, port, atMs) {
      const found = identity(id, atMs)
      if (found?.kind === 'service') return found
      return found?.kind === 'node' ? source?.identityOfNodePort(port, atMs) : undefined
    },
    isSelected: (id, filter, atMs) => isSelected(filter, identity(id, atMs)),
    isThisMachine(id) {
      const at = id * 4
      const w = addressWords
      return entities[id]?.kind === 'address' && isThisMachine(w[at], w[at + 1], w[at + 2], w[at + 3])
    },
    group(id, groupBy, atMs) {
      const entity = entities[id]
      if (!entity) return noGroup
      const found = identity(id, atMs)
      if (found) return kubeGroup(found, entity, groupBy)
      if (entity.kind === 'address') return addressGroup(id, entity, groupBy, atMs)
      return source
        ? nodeProcessGroup(entity, source.zoneOf(entity.host), groupBy)
        : processGroup(entity, groupBy)
    },
    knowledge,
    recall(id, known, atMs) {
      const entity = entities[id]
      if (!entity) return
      if (entity.kind !== 'address') {
        if (known.kube && entity.podUid !== '') source?.remember(entity.podUid, known.kube)
        return
      }
      if (settled.has(id) && known.kube) {
        source?.noteNamespace(known.kube.namespace)
        settled.set(id, known.kube)
      }
      const w = addressWords
      const at = id * 4
      const { dns } = known
      if (dns && names.learn(entityNode[id], entity.address, dns.name, dns.seenMs))
        nameChanges.add(dns.seenMs)
      if (known.localTo === undefined || known.localTo === '') return
      const owner = node(known.localTo)
      if (owner >= 0) locals.learn(owner, w[at], w[at + 1], w[at + 2], w[at + 3], atMs)
    },
    revisionAt: atMs => nameChanges.countAt(atMs) + locals.revision() + (source?.revision() ?? 0),
    revision: () => nameChanges.total() + locals.revision() + (source?.revision() ?? 0),
    sweep(isUsed) {
      seenOwners = new WeakMap()
      seenProcesses = new WeakMap()
      for (const [key, id] of owners) if (releasable(id, isUsed)) owners.delete(key)
      for (const [key, id] of settledIds)
        if (releasable(id, isUsed)) {
          settledIds.delete(key)
          settled.delete(id)
        }
      const kept = new Set<EntityId>()
      addresses.keep(head => {
        const isKept = uses.keep(head, id => !releasable(id, isUsed))
        // those after it hang on it
        if (isKept) kept.add(head)
        return isKept
      })
      for (let id = 0; id < entities.length; id++)
        if (entities[id] && !kept.has(id) && releasable(id, isUsed)) {
          entities[id] = undefined
          free.push(id)
        }
      touched.fill(0)
      const nodesInUse = new Set<NodeIndex>()
      for (let id = 0; id < entities.length; id++) if (entities[id]) nodesInUse.add(entityNode[id])
      nodes.sweep(nodesInUse)
    },
    stats: () => ({
      entities: entities.length - free.length,
      nodes: nodes.size(),
      isCrowded: nodes.isCrowded(),
      capped,
      localRefused: locals.refused(),
    }),
  }

  function releasable(id: EntityId, isUsed: (id: EntityId) => boolean): boolean {
    return touched[id] === 0 && !isUsed(id)
  }
}

function addressEntity(host: string, address: string): Entity {
  return { kind: 'address', host, process: '', unit: '', containerId: '', podUid: '', cgroup: '', address }
}
