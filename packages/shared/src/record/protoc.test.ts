import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchSeed, columnsFrom, visibleParts } from './batch.testing.ts'
import { l7ColumnFields, u32ColumnFields, u64ColumnFields } from './columns.ts'
import { decodeFlowBatch } from './decode.ts'
import { encodeFlowBatch } from './encode.ts'
import { createFlowColumns } from './flow-columns.ts'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const protoPath = 'proto/skybraid/v1/flow.proto'
const hasProtoc = spawnSync('protoc', ['--version']).status === 0

function protoc(mode: '--decode' | '--encode', input: Uint8Array): Buffer {
  const args = [`${mode}=skybraid.v1.FlowBatch`, '-I', root, `${root}${protoPath}`]
  const { status, stdout, stderr } = spawnSync('protoc', args, { input, maxBuffer: 64 << 20 })
  expect(stderr.toString()).toBe('')
  expect(status).toBe(0)
  return stdout
}

const samples = () => fc.sample(batchSeed, { seed: 11, numRuns: 8 })

describe.skipIf(!hasProtoc)(`protoc${hasProtoc ? '' : ' (skipped: protoc is not installed)'}`, () => {
  it('reads what encodeFlowBatch writes, without a field it does not know', () => {
    for (const seed of samples()) {
      const text = protoc('--decode', encodeFlowBatch(columnsFrom(seed))).toString()
      expect(text).not.toMatch(/^\d+: /m)
      expect(text).toContain(`sequence: ${seed.header.sequence}\n`)
      expect(text).toContain(`boot_id: ${BigInt(`0x${seed.header.bootId}`)}\n`)
    }
  }, 30_000)

  it('writes from its text what decodeFlowBatch reads as the same batch', () => {
    const into = createFlowColumns()
    for (const seed of samples()) {
      const columns = columnsFrom(seed)
      const again = protoc('--encode', protoc('--decode', encodeFlowBatch(columns)))
      expect(decodeFlowBatch(again, into)).toEqual({ ok: true })
      expect(visibleParts(into)).toEqual(visibleParts(columns))
    }
  }, 30_000)
})

describe('column field numbers', () => {
  it('are those of flow.proto, with the same types', () => {
    const text = readFileSync(`${root}${protoPath}`, 'utf8')
    const declared = new Map<string, string>()
    for (const [, type, name, field] of text.matchAll(/repeated (fixed32|fixed64) (\w+) = (\d+);/g)) {
      declared.set(
        name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
        `${type} ${field}`,
      )
    }
    const known = new Map<string, string>()
    for (const [name, field] of Object.entries(u32ColumnFields)) known.set(name, `fixed32 ${field}`)
    for (const [name, field] of Object.entries(l7ColumnFields)) known.set(name, `fixed32 ${field}`)
    for (const [name, field] of Object.entries(u64ColumnFields)) known.set(name, `fixed64 ${field}`)
    expect(Object.fromEntries(declared)).toEqual(Object.fromEntries(known))
  })
})
