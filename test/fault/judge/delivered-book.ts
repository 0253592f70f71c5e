import {
  createFlowColumns,
  decodeFlowBatch,
  EndReason,
  Kind,
  Protocol,
  protocolOf,
  Role,
  reasonOf,
  roleOf,
  State,
  stateOf,
} from '../../../packages/shared/src/index.ts'

/** What one end reported of one counter, over all its edges: by `endKey`. */
export type EndSums = Map<string, number>

/**
 * Sums of what was delivered, whatever was lost before: each batch once, in whatever order, its deltas by minute and by
 * the end that reported them. Any record of a flow says when it was opened, so that is known also where the first got
 * lost. Nothing is joined.
 */
export interface DeliveredBook {
  add(batch: Uint8Array): void
  /** Of a Unix minute. */
  sums(minute: number): EndSums
}

const failures: Readonly<Record<number, string>> = {
  [EndReason.refused]: 'refused',
  [EndReason.timedOut]: 'timedOut',
  [EndReason.unreachable]: 'unreachable',
  [EndReason.resetInHandshake]: 'resetInHandshake',
  [EndReason.abandoned]: 'abandoned',
}
const endings: Readonly<Record<number, string>> = {
  [EndReason.fin]: 'fin',
  [EndReason.rstSent]: 'resetSent',
  [EndReason.rstReceived]: 'resetReceived',
  [EndReason.kernelTimeout]: 'timeout',
}
const tcpAmounts = {
  bytesSent: 'bytesSent',
  bytesReceived: 'bytesReceived',
  segmentsSent: 'segmentsSent',
  segmentsReceived: 'segmentsReceived',
  dataSegmentsSent: 'dataSegmentsSent',
  dataSegmentsReceived: 'dataSegmentsReceived',
  retransmits: 'retransmittedSegments',
  outOfOrder: 'outOfOrderSegments',
} as const
const udpAmounts = {
  datagramsSent: 'segmentsSent',
  datagramsReceived: 'segmentsReceived',
  bytesSent: 'bytesSent',
  bytesReceived: 'bytesReceived',
} as const

/** A client is a program, a server a program at a port. */
export function endKey(end: string, counter: string): string {
  return `${end}\t${counter}`
}

/** Connections of which any record came, from either end. */
export const openedKey = endKey('all', 'tcp.opened')

export function createDeliveredBook(): DeliveredBook {
  const columns = createFlowColumns()
  const { u32, u64 } = columns
  const known = new Set<string>()
  const book = new Map<number, EndSums>()
  const flows = new Map<string, Set<number>>()
  const connections = new Set<number>()

  function sumsOf(minute: number): EndSums {
    const sums = book.get(minute) ?? new Map<string, number>()
    book.set(minute, sums)
    return sums
  }

  function addOpening(row: number, key: string, isTcp: boolean): void {
    const { node, baseUnixMs } = columns.header
    const opened = sumsOf(Math.floor((baseUnixMs + u32.atMs[row]! - u32.ageMs[row]!) / 60_000))
    const addOnce = (to: Set<number>, id: number, as: string) => {
      if (!to.has(id)) opened.set(as, (opened.get(as) ?? 0) + 1)
      to.add(id)
    }
    const ofNode = flows.get(node) ?? new Set<number>()
    flows.set(node, ofNode)
    addOnce(ofNode, u64.flowId[2 * row]! + u64.flowId[2 * row + 1]! * 2 ** 32, key)
    if (isTcp) addOnce(connections, u32.diallerIsn[row]!, openedKey)
  }

  function addRecord(sums: EndSums, row: number): void {
    const kind = u32.kind[row]!
    const isServer = roleOf(kind) === Role.server
    const protocol = protocolOf(kind) === Protocol.udp ? 'udp' : 'tcp'
    const { process } = columns.header.owners[u32.owner[row]!]!
    const place = isServer ? `:${u32.ports[row]! >>> 16}/${protocol}` : ''
    const end = `host/${columns.header.node}/-/${process}${place}`
    const add = (counter: string, value: number) => {
      const key = endKey(end, counter)
      if (value !== 0) sums.set(key, (sums.get(key) ?? 0) + value)
    }
    const state = stateOf(kind)
    if (state === State.failed) add(`tcp.failures.${failures[reasonOf(kind)]}`, 1)
    if (state === State.halfOpen) add('tcp.server.halfOpen', 1)
    if (state === State.failed || state === State.halfOpen) return
    const side = `${protocol}.${isServer ? 'server' : 'client'}.`
    const amounts = protocol === 'udp' ? udpAmounts : tcpAmounts
    for (const [counter, column] of Object.entries(amounts)) add(side + counter, u32[column][row]!)
    const isTcp = protocol === 'tcp'
    addOpening(row, endKey(end, side + (isTcp ? 'opened' : 'flows')), isTcp)
    if (!isTcp) return
    add(`${side}handshakeUs.count`, u32.handshakeUs[row]! > 0 ? 1 : 0)
    // an announcement says nothing new
    add(`${side}rttUs.count`, u32.srttUs[row]! > 0 && (kind & Kind.announcedAgain) === 0 ? 1 : 0)
    if (state !== State.closed) return
    add(`${side}closed`, 1)
    add(`${side}ended.${endings[reasonOf(kind)]}`, 1)
    add(`${side}minRttUs.count`, u32.minRttUs[row]! > 0 ? 1 : 0)
    add(`${side}durationMs.count`, 1)
  }

  return {
    add(batch) {
      const decoded = decodeFlowBatch(batch, columns)
      if (!decoded.ok) throw new Error(`a batch is ${decoded.reason}`)
      if (columns.wideCount > 0) throw new Error('nobody invents so much')
      const { node, bootId, partition, sequence, baseUnixMs } = columns.header
      const id = `${node} ${bootId} ${partition} ${sequence}`
      if (known.has(id)) return
      known.add(id)
      const sums = sumsOf(baseUnixMs / 60_000)
      for (let row = 0; row < columns.count; row++) addRecord(sums, row)
    },
    sums: minute => book.get(minute) ?? new Map(),
  }
}
