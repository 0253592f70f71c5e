import { createJoin } from '../../packages/aggregator/src/join/join.ts'
import { openNativeJoin } from '../../packages/aggregator/src/native/open-native-join.ts'
import { createEntityIndex } from '../../packages/aggregator/src/resolve/entity-index.ts'
import { createTopology } from '../../packages/aggregator/src/topology/topology.ts'
import { createFlowColumns, decodeFlowBatch, encodeFlowBatch } from '../../packages/shared/src/index.ts'
import type { Measurement } from './figure.ts'
import { LiveConnections, perMille, programsPerNode } from './live-connections.ts'

const connections = 1_000_000
const recordsPerBatch = 1_000
/** What a collector flushes: partitions and nodes differ in how many records they have at a time. */
const batchSizes = [300, 500, 800, 1_000]
const cadenceMs = 10_000
const startMs = Math.floor(Date.now() / 60_000) * 60_000
const partition = 0

const decodeName = 'decode columns'
const ownersName = `decode columns and ${programsPerNode} owners per batch`
const joinName = 'decode + join + edge counters, 1 M live connections'
const p99Name = 'decode + join + edge counters: batch of 300 to 1,000 records, p99'
const bytesName = 'memory per joined connection, unique IPv6 addresses'

function createStack() {
  const index = createEntityIndex()
  const topology = createTopology({ index, startMs })
  const capacity = connections + 200_000
  const openNative = openNativeJoin()
  const hash = { hashSeed: 1, capacity, openNative }
  const join = createJoin({ book: topology.book, entities: index, names: index, ...hash })
  const nodes = [index.node('north'), index.node('south')]
  return { join, nodes, topology, columns: createFlowColumns() }
}

type Stack = ReturnType<typeof createStack>

/** The work that is measured. */
function take(stack: Stack, batch: Uint8Array, node: number, nowMs: number): void {
  if (!decodeFlowBatch(batch, stack.columns).ok) throw new Error('a batch was refused')
  const origin = { node: stack.nodes[node], boot: 1, contiguous: true }
  const { applied } = stack.join.apply(stack.columns, partition, origin, nowMs)
  if (applied !== stack.columns.count && !refusalsExpected) throw new Error(`${applied} applied`)
}

/** A million different addresses are more than the limit of entities: then first views are refused for a moment. */
let refusalsExpected = false

function openAll(stack: Stack, world: LiveConnections): void {
  for (let first = 0; first < connections; first += recordsPerBatch) {
    for (let node = 0; node < 2; node++) {
      world.begin(node, recordsPerBatch, startMs + 1)
      for (let i = 0; i < recordsPerBatch; i++) world.reading(i, first + i, node, startMs + 1, 0)
      take(stack, encodeFlowBatch(world.columns), node, startMs + 2)
    }
  }
  const { joined } = stack.join.counts()
  if (joined !== connections) throw new Error(`${joined} joined`)
}

interface Timing {
  records: number
  cpuMs: number
  wallMs: number
  /** Only when batches are timed one by one: wall time of those that no other process interrupted. */
  readonly batchMs: number[]
  interrupted: number
  readonly isByBatch: boolean
}

/** One cadence: every connection is read once at both ends. */
function runRound(stack: Stack, world: LiveConnections, round: number, timing: Timing): void {
  const sliceBatches = 50
  let position = 0
  let short = round * 100_000
  for (let slice = 0; position < connections; slice++) {
    const encoded: Encoded[] = []
    for (let b = 0; b < sliceBatches && position < connections; b++) {
      const size = batchSizes[(slice + b) % batchSizes.length]
      const opening = Math.ceil((size * perMille.opening) / 1_000)
      const readings = Math.min(size - 2 * opening, connections - position)
      const nowMs = startMs + (round - 1) * cadenceMs + Math.floor((position / connections) * cadenceMs) + 100
      for (let node = 0; node < 2; node++) {
        world.batch(node, position, readings, { first: short, count: opening }, nowMs - 50, round)
        encoded.push({ data: encodeFlowBatch(world.columns), node, nowMs })
      }
      position += readings
      short += opening
    }
    stack.topology.advance(encoded[0].nowMs)
    runSlice(stack, encoded, timing)
  }
}

interface Encoded {
  readonly data: Uint8Array
  readonly node: number
  readonly nowMs: number
}

function runSlice(stack: Stack, encoded: readonly Encoded[], timing: Timing): void {
  const begunCpu = process.cpuUsage()
  const begun = performance.now()
  for (const { data, node, nowMs } of encoded) {
    if (timing.isByBatch) timeBatch(stack, data, node, nowMs, timing)
    else take(stack, data, node, nowMs)
    timing.records += stack.columns.count
  }
  timing.wallMs += performance.now() - begun
  const cpu = process.cpuUsage(begunCpu)
  timing.cpuMs += (cpu.user + cpu.system) / 1_000
}

function timeBatch(stack: Stack, data: Uint8Array, node: number, nowMs: number, timing: Timing): void {
  const switches = process.resourceUsage().involuntaryContextSwitches
  const at = performance.now()
  take(stack, data, node, nowMs)
  const ms = performance.now() - at
  if (process.resourceUsage().involuntaryContextSwitches === switches) timing.batchMs.push(ms)
  else timing.interrupted++
}

function measureDecode(name: string, owners: number, reach: string) {
  const world = new LiveConnections(connections, startMs)
  const batches: Uint8Array[] = []
  for (let batch = 0; batch < 20; batch++) {
    world.begin(0, recordsPerBatch, startMs + 1_000, owners)
    for (let i = 0; i < recordsPerBatch; i++)
      world.reading(i, batch * recordsPerBatch + i, 0, startMs + 1_000, 1)
    for (let i = 0; i < recordsPerBatch; i++) world.columns.u32.owner[i] %= owners
    batches.push(encodeFlowBatch(world.columns))
  }
  const columns = createFlowColumns()
  const rates: number[] = []
  for (let run = 0; run < 12; run++) {
    const begun = process.cpuUsage()
    for (let turn = 0; turn < 100; turn++) {
      for (const batch of batches)
        if (!decodeFlowBatch(batch, columns).ok) throw new Error('a batch was refused')
    }
    const cpu = process.cpuUsage(begun)
    rates.push((100 * batches.length * recordsPerBatch) / (cpu.user + cpu.system))
  }
  const steady = rates.slice(2).sort((a, b) => a - b)
  return [
    {
      name,
      value: steady[steady.length >> 1],
      unit: 'M records/s',
      reach,
      method: `all columns of batches of 1,000 TCP records with ${owners} owners, checks included; processor time, median of 10 runs of 2,000 batches`,
      spread: [steady[0], steady[steady.length - 1]] as [number, number],
    },
  ]
}

function measureJoin() {
  const stack = createStack()
  const world = new LiveConnections(connections, startMs)
  openAll(stack, world)
  const rounds: Timing[] = []
  for (let round = 1; round <= 6; round++) {
    const timing: Timing = {
      records: 0,
      cpuMs: 0,
      wallMs: 0,
      batchMs: [],
      interrupted: 0,
      isByBatch: round === 6,
    }
    runRound(stack, world, round, timing)
    rounds.push(timing)
  }
  // the first one warms up
  const steady = rounds.slice(1, -1)
  const rates = steady.map(each => each.records / each.cpuMs / 1_000).sort((a, b) => a - b)
  const wall = steady.map(each => each.records / each.wallMs / 1_000).sort((a, b) => a - b)
  const { batchMs, interrupted } = rounds[rounds.length - 1]
  const times = batchMs.sort((a, b) => a - b)
  const edges = 2 * programsPerNode ** 2
  const method =
    `${(connections / 1e6).toFixed(0)} M joined connections read every 10 s at both ends, each in a random order of its own, ${edges} joined edges, ` +
    `batches of 300 to 1,000 records, 1 % openings and ends, one thread, clock hand included`
  return [
    {
      name: joinName,
      value: rates[rates.length >> 1],
      unit: 'M records/s',
      reach: '>= 3',
      method: `${method}; processor time, median of ${rates.length} rounds of 2 M records (by the clock ${wall[wall.length >> 1].toFixed(2)} M/s)`,
      spread: [rates[0], rates[rates.length - 1]] as [number, number],
    },
    {
      name: p99Name,
      value: times[Math.floor(times.length * 0.99)],
      unit: 'ms',
      reach: '<= 1',
      method: `${method}; of ${times.length} batches that no other process interrupted (${interrupted} were)`,
    },
  ]
}

function measureBytes() {
  refusalsExpected = true
  const stack = createStack()
  openAll(stack, new LiveConnections(connections, startMs, true))
  refusalsExpected = false
  const { joined } = stack.join.counts()
  return [
    {
      name: bytesName,
      value: stack.join.bytes() / joined,
      unit: 'B',
      reach: '<= 320',
      method: `all typed arrays of the join (slots, index, ledger, ${2 * joined} different addresses) by ${joined} joined connections`,
    },
  ]
}

export const measurements: readonly Measurement[] = [
  { names: [decodeName], measure: () => measureDecode(decodeName, 20, '>= 40') },
  { names: [ownersName], measure: () => measureDecode(ownersName, programsPerNode, '') },
  { names: [joinName, p99Name], measure: measureJoin },
  { names: [bytesName], measure: measureBytes },
]
