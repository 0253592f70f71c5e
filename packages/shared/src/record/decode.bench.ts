import type { U32Column } from './columns.ts'
import { decodeFlowBatch } from './decode.ts'
import { encodeFlowBatch } from './encode.ts'
import { createFlowColumns } from './flow-columns.ts'
import { packKind } from './kind.ts'

/** Records per second of `decodeFlowBatch` over batches with every column present and 40 owners each. */
export function measureDecode(recordsPerBatch: number, milliseconds: number): number {
  const columns = createFlowColumns()
  fill(columns, recordsPerBatch)
  const bytes = encodeFlowBatch(columns)
  const into = createFlowColumns()
  let best = 0
  const end = performance.now() + milliseconds
  while (performance.now() < end) {
    const start = performance.now()
    for (let round = 0; round < 500; round++) {
      if (!decodeFlowBatch(bytes, into).ok) throw new Error('the bench batch was refused')
    }
    best = Math.max(best, (500 * recordsPerBatch * 1_000) / (performance.now() - start))
  }
  return best
}

function fill(columns: ReturnType<typeof createFlowColumns>, count: number): void {
  const { header } = columns
  header.cluster = 'bench'
  header.node = 'node-1'
  header.sequence = 1
  header.baseUnixMs = Date.UTC(2026, 0, 1)
  header.sentUnixMs = header.baseUnixMs
  for (let index = 0; index < 40; index++) {
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
    columns.u32.owner[row] = row % 40
  }
  for (const words of Object.values(columns.u64)) words.fill(7, 0, 2 * count)
}

if (import.meta.main) {
  for (const size of [1_000, 300]) {
    const rate = measureDecode(size, 2_000)
    console.log(
      JSON.stringify({
        name: `decode columns, ${size} records a batch`,
        value: Math.round(rate),
        unit: 'records/s',
      }),
    )
  }
}
