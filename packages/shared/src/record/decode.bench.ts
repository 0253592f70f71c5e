import type { FlowColumns, U32Column } from './columns.ts'
import { decodeFlowBatch } from './decode.ts'
import { encodeFlowBatch } from './encode.ts'
import { createFlowColumns } from './flow-columns.ts'
import { packKind } from './kind.ts'

/**
 * Records per second and core of `decodeFlowBatch`, over batches with every column present. In CPU time, the best of
 * many rounds, because other programs share the machine.
 */
export function measureDecode(recordsPerBatch: number, ownersPerBatch: number, rounds: number): number {
  const columns = createFlowColumns()
  fill(columns, recordsPerBatch, ownersPerBatch)
  const bytes = encodeFlowBatch(columns)
  const into = createFlowColumns()
  const batches = Math.ceil(2_000_000 / recordsPerBatch)
  let best = 0
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage()
    for (let batch = 0; batch < batches; batch++) {
      if (!decodeFlowBatch(bytes, into).ok) throw new Error('the bench batch was refused')
    }
    const { user, system } = process.cpuUsage(before)
    best = Math.max(best, (batches * recordsPerBatch * 1e6) / (user + system))
  }
  return best
}

function fill(columns: FlowColumns, count: number, owners: number): void {
  const { header } = columns
  header.cluster = 'bench'
  header.node = 'node-1'
  header.sequence = 1
  header.baseUnixMs = Date.UTC(2026, 0, 1)
  header.sentUnixMs = header.baseUnixMs
  for (let index = 0; index < owners; index++) {
    header.owners.push({
      cgroup: `kubepods.slice/kubepods-pod${index}.slice/cri-containerd-${'0123456789abcdef'.repeat(4)}.scope`,
      podUid: `3f0b7c9e-0000-4000-8000-00000000${1000 + index}`,
      containerId: '0123456789abcdef'.repeat(4),
      unit: '',
      process: 'nginx',
      pid: 100 + index,
    })
  }
  columns.count = count
  for (const name of Object.keys(columns.u32) as U32Column[]) {
    for (let row = 0; row < count; row++) columns.u32[name][row] = 1 + ((row * 31) % 40_000)
  }
  for (let row = 0; row < count; row++) {
    columns.u32.kind[row] = packKind(1, 1 + (row % 2), 1)
    columns.u32.owner[row] = row % owners
  }
  for (const words of Object.values(columns.u64)) words.fill(7, 0, 2 * count)
}

if (import.meta.main) {
  for (const [records, owners] of [
    [1_000, 40],
    [400, 10],
    [300, 40],
  ]) {
    const name = `decode columns, batches of ${records} records and ${owners} owners`
    const value = Math.round(measureDecode(records, owners, 20))
    console.log(JSON.stringify({ name, value, unit: 'records/s' }))
  }
}
