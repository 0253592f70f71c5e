import { createJoin } from '../../packages/aggregator/src/join/join.ts'
import { createEntityIndex } from '../../packages/aggregator/src/resolve/entity-index.ts'
import { createTopology } from '../../packages/aggregator/src/topology/topology.ts'
import {
  createFlowColumns,
  decodeFlowBatch,
  encodeFlowBatch,
  Kind,
  Protocol,
  packKind,
  Role,
  State,
} from '../../packages/shared/src/index.ts'
import type { Measurement } from './figure.ts'

const connections = 1_000_000
const recordsPerBatch = 1_000
const pods = 10_000
const startMs = Math.floor(Date.now() / 60_000) * 60_000
const partition = 0

const decodeName = 'decode columns'
const joinName = 'decode + join + edge counters, 1 M live connections'
const p99Name = 'decode + join + edge counters: batch of 1,000 records, p99'
const bytesName = 'memory per joined connection, IPv6'

/** Sequence numbers and flow ids are spread like real ones; neighbours in time are strangers in memory. */
function spread(n: number): number {
  return Math.imul(n, 0x9e3779b1) >>> 0
}

interface World {
  readonly columns: ReturnType<typeof createFlowColumns>
  readonly v6: boolean
}

function fillBatch({ columns, v6 }: World, first: number, side: number, round: number, order: number): void {
  const { header } = columns
  header.node = side === 0 ? 'north' : 'south'
  header.bootId = '000000000000000a'
  header.sequence = 1
  header.baseUnixMs = startMs
  header.sentUnixMs = startMs + 1_000
  header.recordCount = columns.count = recordsPerBatch
  header.owners.length = 0
  for (let program = 0; program < 20; program++) {
    const process = `program-${side}-${(first / recordsPerBatch + program) % 200}`
    header.owners.push({ process, cgroup: '', podUid: '', containerId: '', unit: '', pid: 0 })
  }
  for (let i = 0; i < recordsPerBatch; i++) {
    // an odd multiplier visits every connection once, in an order that no cache can guess
    const n = (Math.imul(first + i, order) >>> 0) % connections
    fillRecord(columns, i, n, side, round, v6)
  }
}

function fillRecord(
  { u32, u64, v6Addresses }: World['columns'],
  i: number,
  n: number,
  side: number,
  round: number,
  v6: boolean,
): void {
  const flags = (round === 0 ? Kind.first : 0) | Kind.quiet | (v6 ? Kind.v6 : 0)
  u32.kind[i] = packKind(Protocol.tcp, side === 0 ? Role.client : Role.server, State.open, 0, flags)
  u32.diallerIsn[i] = spread(n)
  u32.acceptorIsn[i] = spread(n + connections)
  u64.flowId[2 * i] = n * 2 + side
  u64.flowId[2 * i + 1] = 0
  const client = 1 + (n % pods)
  const server = 1 + (spread(n) % pods)
  const local = side === 0 ? client : server
  const remote = side === 0 ? server : client
  if (v6) {
    putV6(v6Addresses, 2 * i, local)
    putV6(v6Addresses, 2 * i + 1, remote)
  }
  u32.localAddress[i] = v6 ? 2 * i : 0x0a + local * 256
  u32.remoteAddress[i] = v6 ? 2 * i + 1 : 0x0a + remote * 256
  u32.ports[i] = side === 0 ? ((1024 + (n % 60_000)) << 16) | 80 : (80 << 16) | (1024 + (n % 60_000))
  u32.owner[i] = i % 20
  u32.atMs[i] = 1_000 + round
  u32.ageMs[i] = 500 + round
  u32.srttUs[i] = 100 + (n % 400)
  u32.bytesSent[i] = u32.bytesReceived[i] = 1_000
  u32.segmentsSent[i] = u32.segmentsReceived[i] = 3
  u32.dataSegmentsSent[i] = u32.dataSegmentsReceived[i] = 2
  u64.bytesSentTotal[2 * i] = u64.bytesReceivedTotal[2 * i] = 1_000 * (round + 1)
  u32.dataSegmentsSentTotal[i] = u32.dataSegmentsReceivedTotal[i] = 2 * (round + 1)
}

function putV6(bytes: Uint8Array, address: number, host: number): void {
  const at = 16 * address
  bytes.set([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host >>> 24, host >>> 16, host >>> 8, host], at)
}

function encodeBatches(v6: boolean, round: number, batches: number, order: number): Uint8Array[][] {
  const world = { columns: createFlowColumns(), v6 }
  return [0, 1].map(side => {
    const list: Uint8Array[] = []
    for (let batch = 0; batch < batches; batch++) {
      fillBatch(world, batch * recordsPerBatch, side, round, order)
      list.push(encodeFlowBatch(world.columns))
    }
    return list
  })
}

function createStack() {
  const index = createEntityIndex()
  const topology = createTopology({ index, startMs })
  const join = createJoin({
    book: topology,
    entities: index,
    names: index,
    hashSeed: 1,
    capacity: connections + 1,
  })
  const nodes = [index.node('north'), index.node('south')]
  return { join, nodes }
}

type Stack = ReturnType<typeof createStack>

function applyAll(
  stack: Stack,
  batches: readonly (readonly Uint8Array[])[],
  each?: (ms: number) => void,
): number {
  const columns = createFlowColumns()
  let applied = 0
  for (let batch = 0; batch < batches[0].length; batch++) {
    for (let side = 0; side < 2; side++) {
      const begun = each === undefined ? 0 : performance.now()
      if (!decodeFlowBatch(batches[side][batch], columns).ok) throw new Error('a batch was refused')
      const origin = { node: stack.nodes[side], boot: 1, contiguous: true }
      applied += stack.join.apply(columns, partition, origin, startMs + 2_000).applied
      each?.(performance.now() - begun)
    }
  }
  return applied
}

function measureDecode() {
  const batches = encodeBatches(false, 1, 20, 1)[0]
  const columns = createFlowColumns()
  const rates: number[] = []
  for (let run = 0; run < 12; run++) {
    const begun = performance.now()
    for (let turn = 0; turn < 50; turn++) {
      for (const batch of batches)
        if (!decodeFlowBatch(batch, columns).ok) throw new Error('a batch was refused')
    }
    rates.push((50 * batches.length * recordsPerBatch) / (performance.now() - begun) / 1_000)
  }
  const steady = rates.slice(2).sort((a, b) => a - b)
  return [
    {
      name: decodeName,
      value: steady[steady.length >> 1],
      unit: 'M records/s',
      reach: '>= 40',
      method:
        'all columns of batches of 1,000 TCP records, checks included; median of 10 runs of 1,000 batches',
      spread: [steady[0], steady[steady.length - 1]] as [number, number],
    },
  ]
}

function measureJoin() {
  const stack = createStack()
  const all = connections / recordsPerBatch
  applyAll(stack, encodeBatches(false, 0, all, 1))
  const { joined } = stack.join.counts()
  if (joined !== connections) throw new Error(`${joined} joined`)
  const rates: number[] = []
  const times: number[] = []
  for (let round = 1; round <= 6; round++) {
    const batches = encodeBatches(false, round, 250, 7_919)
    const begun = performance.now()
    const applied = applyAll(stack, batches, ms => times.push(ms))
    if (applied !== 2 * 250 * recordsPerBatch) throw new Error(`${applied} applied`)
    rates.push(applied / (performance.now() - begun) / 1_000)
  }
  const steady = rates.slice(1).sort((a, b) => a - b)
  const sorted = times.slice(500).sort((a, b) => a - b)
  const method =
    '1 M joined connections, both ends every round, batches of 1,000 strangers, 40,000 edges, one thread'
  return [
    {
      name: joinName,
      value: steady[steady.length >> 1],
      unit: 'M records/s',
      reach: '>= 3',
      method: `${method}; median of 5 rounds of 500 batches`,
      spread: [steady[0], steady[steady.length - 1]] as [number, number],
    },
    {
      name: p99Name,
      value: sorted[Math.floor(sorted.length * 0.99)],
      unit: 'ms',
      reach: '<= 1',
      method: `${method}; of 2,500 batches`,
    },
  ]
}

function measureBytes() {
  const stack = createStack()
  applyAll(stack, encodeBatches(true, 0, connections / recordsPerBatch, 1))
  const { joined } = stack.join.counts()
  return [
    {
      name: bytesName,
      value: stack.join.bytes() / joined,
      unit: 'B',
      reach: '<= 320',
      method: `all typed arrays of the join (slots, index, ledger, ${pods} addresses) by ${joined} joined connections`,
    },
  ]
}

export const measurements: readonly Measurement[] = [
  { names: [decodeName], measure: measureDecode },
  { names: [joinName, p99Name], measure: measureJoin },
  { names: [bytesName], measure: measureBytes },
]
