import { endNames, Kind, Role, reasonOf, roleOf, State, stateOf } from '@skybraid/shared'
import { addressText } from '../resolve/address-text.ts'
import type { EndFilter } from '../resolve/end-filter.ts'
import type { Group } from '../resolve/entity.ts'
import { v4MappedWord } from '../resolve/entity-source.ts'
import type { KubeIdentity } from '../resolve/kube-identity.ts'
import { hiddenGroupId, isInScope, isOutsideAll, type ViewScope } from '../resolve/view-scope.ts'
import type { DirectionLoss, FlowEnd, FlowView } from '../topology/answer.ts'
import type { EntityId } from '../topology/edge-book.ts'
import { l7ProtocolName } from '../topology/said-rows.ts'
import { unixMsOf } from './connection-store.ts'
import { FlowSum, narrowSum, type SlotWords } from './flow-sums.ts'
import {
  Cold,
  coldSideAt,
  Head,
  HeadSide,
  headSideAt,
  openedMsAt,
  Side,
  SideFlag,
  SlotClass,
  SlotFlag,
  sideAt,
} from './slot-layout.ts'

/** How ends are called; the entity index. */
export interface FlowNames {
  group(entity: EntityId, groupBy: 'process', atMs: number): Group
  ofAddress(node: number, w0: number, w1: number, w2: number, w3: number, atMs: number): EntityId
  isSelected(entity: EntityId, filter: EndFilter, atMs: number): boolean
  identity(entity: EntityId, atMs: number): KubeIdentity | undefined
}

/** A node as its collector calls it, and that collector's current boot. */
export interface CurrentBoot {
  readonly name: string
  readonly boot: number
}

/** The words of one slot, in the table or in the ring of ended flows. */
export interface FlowSource extends SlotWords {
  /** Word `index` (0 to 3) of an IPv6 address of a side. */
  v6Word(side: number, end: 'local' | 'remote', index: number): number
  /** What a sum of a side has beyond its words. */
  wideSum(side: number, sum: number): number
  /** Times kept modulo 2^32 are within 24 days of this. */
  readonly nearMs: number
}

export function isPresent(source: FlowSource, side: number): boolean {
  return (source.words[source.start + Head.flags] & (SlotFlag.present << side)) !== 0
}

export function observedOf(source: FlowSource): FlowView['observed'] {
  if (!isPresent(source, 0)) return 'server'
  return isPresent(source, 1) ? 'both' : 'client'
}

export function protocolOfFlow(source: FlowSource): FlowView['protocol'] {
  return slotClass(source) === SlotClass.udp ? 'udp' : 'tcp'
}

/** A failed dial is `failed` if the dialler said so, otherwise the listener saw it half open. */
export function stateOfFlow(source: FlowSource): FlowView['state'] {
  if (slotClass(source) === SlotClass.failedDial) return isPresent(source, 0) ? 'failed' : 'halfOpen'
  for (let side = 0; side < 2; side++) {
    if (isPresent(source, side) && (sideFlags(source, side) & SideFlag.ended) !== 0) return 'closed'
  }
  return 'open'
}

/** Which ends of a flow may be shown, by side. */
export type ShownEnds = readonly [boolean, boolean]

/** An end that nobody reported is who its address belongs to. */
export function shownEnds(source: FlowSource, names: FlowNames, scope: ViewScope | undefined): ShownEnds {
  if (!scope) return [true, true]
  const atMs = lastSeenMs(source)
  const isShown = (side: number) => {
    const entity = isPresent(source, side) ? entityOf(source, side) : remoteOf(source, 1 - side, names)
    return isInScope(scope, names.identity(entity, atMs))
  }
  return [isShown(0), isShown(1)]
}

export function hasPort(source: FlowSource, port: number, shown: ShownEnds): boolean {
  for (let side = 0; side < 2; side++) {
    if (!isPresent(source, side) || !shown[side]) continue
    const ports = coldWord(source, side, Cold.ports)
    if (ports >>> 16 === port || (ports & 0xffff) === port) return true
  }
  return false
}

/** An open flow of an earlier boot than its node's current one is unconfirmed. */
export function viewFlow(
  source: FlowSource,
  names: FlowNames,
  nodes: ReadonlyMap<number, CurrentBoot>,
  shown: ShownEnds,
): FlowView {
  const protocol = protocolOfFlow(source)
  const state = stateOfFlow(source)
  const first = isPresent(source, 0) ? 0 : 1
  const application = applicationOf(source)
  const flow: { -readonly [K in keyof FlowView]: FlowView[K] } = {
    id: idOf(source, protocol),
    protocol,
    ...(application !== 0 && { application: l7ProtocolName(application) }),
    state,
    observed: observedOf(source),
    openedAt: new Date(openedMsAt(source.words, source.start + sideAt(first))).toISOString(),
    lastSeen: new Date(lastSeenMs(source)).toISOString(),
    loss: { clientToServer: lossOf(source, 0), serverToClient: lossOf(source, 1) },
  }
  for (let side = 0; side < 2; side++) {
    if (!isPresent(source, side)) continue
    const end = viewEnd(source, side, names, nodes, state)
    flow[side === 0 ? 'client' : 'server'] = shown[side] ? end : { ...end, ...hiddenEnd }
  }
  return flow
}

/** What it was found to speak, as a number; 0 if that is not known. */
function applicationOf({ words, start }: FlowSource): number {
  return (words[start + Head.flags] >>> SlotFlag.l7Shift) & Kind.l7Mask
}

const hiddenEnd = { node: '', owner: hiddenGroupId, local: '', remote: '' }

/** What a search text is compared with: owners, their names, addresses, and names of outside addresses. */
export function searchText(source: FlowSource, names: FlowNames, shown: ShownEnds): string {
  let text = ''
  for (let side = 0; side < 2; side++) {
    if (!isPresent(source, side) || !shown[side]) continue
    const atMs = lastSeenMs(source)
    const owner = names.group(entityOf(source, side), 'process', atMs)
    const remote = names.group(remoteOf(source, side, names), 'process', atMs)
    const remoteName = shown[1 - side] || isOutsideAll(remote) ? remote.name : ''
    text += `${owner.id} ${owner.name} ${endpoint(source, side, 'local')} ${endpoint(source, side, 'remote')} ${remoteName} `
  }
  return text
}

/** The entity that a present side called by its remote address. */
function remoteOf(source: FlowSource, side: number, names: FlowNames): EntityId {
  const s = source.start + sideAt(side)
  const node = source.words[s + Side.session] >>> 8
  const [w0, w1, w2, w3] = addressWords(source, side, 'remote')
  return names.ofAddress(node, w0, w1, w2, w3, openedMsAt(source.words, s))
}

/** Whether one of its ends, reported or by its address, is of those asked for. */
export function isSelected(
  source: FlowSource,
  names: FlowNames,
  filter: EndFilter,
  scope: ViewScope | undefined,
): boolean {
  const atMs = lastSeenMs(source)
  const isAsked = (entity: EntityId) =>
    names.isSelected(entity, filter, atMs) && (!scope || isInScope(scope, names.identity(entity, atMs)))
  for (let side = 0; side < 2; side++) {
    if (!isPresent(source, side)) continue
    if (isAsked(entityOf(source, side)) || isAsked(remoteOf(source, side, names))) return true
  }
  return false
}

function viewEnd(
  source: FlowSource,
  side: number,
  names: FlowNames,
  nodes: ReadonlyMap<number, CurrentBoot>,
  state: FlowView['state'],
): FlowEnd {
  const { words } = source
  const s = source.start + sideAt(side)
  const flags = words[s + Side.flags]
  const session = words[s + Side.session]
  const sumOf = (sum: number) => narrowSum(source, side, sum) + source.wideSum(side, sum)
  const end: { -readonly [K in keyof FlowEnd]: FlowEnd[K] } = {
    node: nodes.get(session >>> 8)?.name ?? '',
    owner: names.group(entityOf(source, side), 'process', lastSeenMs(source)).id,
    local: endpoint(source, side, 'local'),
    remote: endpoint(source, side, 'remote'),
    role: roleName(flags, side),
    roleGuessed: (flags & Kind.roleGuessed) !== 0,
    adopted: (flags & SideFlag.sawOpen) === 0,
    bytesSent: sumOf(FlowSum.bytesSent),
    bytesReceived: sumOf(FlowSum.bytesReceived),
    segmentsSent: sumOf(FlowSum.segmentsSent),
    segmentsReceived: sumOf(FlowSum.segmentsReceived),
    dataSegmentsSent: sumOf(FlowSum.dataSent),
    dataSegmentsReceived: sumOf(FlowSum.dataReceived),
    retransmits: sumOf(FlowSum.retransmitted),
  }
  const boot = nodes.get(session >>> 8)?.boot
  if (state === 'open' && boot !== undefined && boot !== (session & 0xff)) end.unconfirmed = true
  if (words[s + Side.srttUs] > 0) end.srttUs = words[s + Side.srttUs]
  const minRttUs = coldWord(source, side, Cold.minRttUs)
  if (minRttUs > 0) end.minRttUs = minRttUs
  const handshakeUs = coldWord(source, side, Cold.handshakeUs)
  if (handshakeUs > 0) end.handshakeUs = handshakeUs
  if ((flags & SideFlag.ended) !== 0) end.end = endName(flags)
  return end
}

function endName(flags: number): string {
  const name = endNames[reasonOf(flags) as keyof typeof endNames] as string | undefined
  if (name !== undefined) return name
  return stateOf(flags) === State.halfOpen ? 'never_completed' : 'unspecified'
}

function roleName(flags: number, side: number): FlowEnd['role'] {
  if (roleOf(flags) === Role.unknown && stateOf(flags) < State.failed) return 'unknown'
  return side === 0 ? 'client' : 'server'
}

/** Stable while the flow is known: the sequence numbers, or the identity that a node gave to the flow. */
function idOf(source: FlowSource, protocol: FlowView['protocol']): string {
  const { words, start } = source
  const side = start + sideAt(isPresent(source, 0) ? 0 : 1)
  const hex = (word: number) => word.toString(16).padStart(8, '0')
  if (slotClass(source) === SlotClass.tcp) {
    return `${protocol}-${hex(words[start + Head.keyA])}-${hex(words[start + Head.keyB])}`
  }
  const flow = `${hex(words[side + Side.flowHigh])}${hex(words[side + Side.flowLow])}`
  const kind = protocol === 'udp' ? 'udp' : `dial-${hex(words[start + Head.keyA])}`
  return `${kind}-${(words[side + Side.session] >>> 8).toString(16)}-${flow}`
}

function lossOf(source: FlowSource, side: number): DirectionLoss {
  const flags = source.words[source.start + Head.flags]
  if (!isPresent(source, 0) || !isPresent(source, 1)) return { unknown: 'one_end_only' }
  if ((flags & (SlotFlag.coalesced << side)) !== 0) return { unknown: 'segments_coalesced' }
  if ((flags & (SlotFlag.compared << side)) === 0) return { unknown: 'not_yet_quiet' }
  const h = source.start + headSideAt(side)
  const { words } = source
  return {
    segmentsLost: (words[h + HeadSide.lossDiff] - coldWord(source, side, Cold.lossBaseDiff)) | 0,
    segmentsCompared: (words[h + HeadSide.lossSent] - coldWord(source, side, Cold.lossBaseSent)) >>> 0,
  }
}

function lastSeenMs(source: FlowSource): number {
  let latest = 0
  for (let side = 0; side < 2; side++) {
    if (!isPresent(source, side)) continue
    const at = source.words[source.start + sideAt(side) + Side.lastAt]
    latest = Math.max(latest, unixMsOf(at, source.nearMs))
  }
  return latest
}

function endpoint(source: FlowSource, side: number, end: 'local' | 'remote'): string {
  const ports = coldWord(source, side, Cold.ports)
  const port = end === 'local' ? ports >>> 16 : ports & 0xffff
  const text = addressText(...addressWords(source, side, end))
  return text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`
}

function addressWords(
  source: FlowSource,
  side: number,
  end: 'local' | 'remote',
): [number, number, number, number] {
  const s = source.start + sideAt(side)
  if ((source.words[s + Side.flags] & Kind.v6) === 0) {
    return [0, 0, v4MappedWord, coldWord(source, side, end === 'local' ? Cold.local : Cold.remote)]
  }
  return [
    source.v6Word(side, end, 0),
    source.v6Word(side, end, 1),
    source.v6Word(side, end, 2),
    source.v6Word(side, end, 3),
  ]
}

function entityOf(source: FlowSource, side: number): EntityId {
  return source.words[source.start + headSideAt(side) + HeadSide.entity] | 0
}

function coldWord(source: FlowSource, side: number, word: number): number {
  return source.words[source.cold + coldSideAt(side) + word]
}

function slotClass(source: FlowSource): number {
  return source.words[source.start + Head.flags] & SlotFlag.classMask
}

function sideFlags(source: FlowSource, side: number): number {
  return source.words[source.start + sideAt(side) + Side.flags]
}
