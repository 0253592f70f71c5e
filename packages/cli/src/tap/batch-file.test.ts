import { compressFlowPayload } from '@skybraid/shared/flow-body'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchOf } from '../flow-lines/rows.testing.ts'
import { BatchFileError, delimited, readBatchFile } from './batch-file.ts'

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function payloads(bytes: Uint8Array, size = 64 * 1024): Promise<string[]> {
  const found: string[] = []
  for await (const { payload } of readBatchFile(pieces(bytes, size)))
    found.push(Buffer.from(payload).toString('hex'))
  return found
}

const raw = batchOf()
const many = batchOf({ records: Array.from({ length: 300 }, (_, index) => ({ localPort: index })) })
const batches = [raw, compressFlowPayload(raw), many, compressFlowPayload(many)]
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('readBatchFile', () => {
  it('reads back what was written, however it is cut into pieces', async () => {
    const file = Buffer.concat(batches.map(delimited))
    for (const size of [1, 3, 1_000, file.length])
      expect(await payloads(file, size)).toEqual(batches.map(hex))
  })

  it.each(batches.map((batch, index) => [index, batch] as const))(
    'takes one batch without a length too (%i)',
    async (_, batch) => {
      expect(await payloads(batch)).toEqual([hex(batch)])
      expect(await payloads(batch, 1)).toEqual([hex(batch)])
    },
  )

  it('takes an empty file', async () => {
    expect(await payloads(new Uint8Array(0))).toEqual([])
  })

  it('says that a file ends in the middle of a batch, after the whole ones', async () => {
    const file = Buffer.concat(batches.map(delimited))
    const seen: string[] = []
    await expect(async () => {
      for await (const { payload } of readBatchFile(pieces(file.subarray(0, -1), 100)))
        seen.push(hex(payload))
    }).rejects.toThrow('ends in the middle')
    expect(seen).toHaveLength(3)
  })

  it('ends with BatchFileError or with payloads of bounded size, whatever the file', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 1, max: 50 }),
        async (bytes, size) => {
          try {
            for await (const { payload } of readBatchFile(pieces(bytes, size)))
              expect(payload.length).toBeLessThan(301)
          } catch (error) {
            expect(error).toBeInstanceOf(BatchFileError)
          }
        },
      ),
    )
  })

  it('reads no further than a batch may be long', async () => {
    let read = 0
    async function* endless() {
      for (;;) {
        read += 1
        yield new Uint8Array(64 * 1024).fill(0x08)
      }
    }
    await expect(async () => {
      for await (const _ of readBatchFile(endless())) expect.unreachable()
    }).rejects.toThrow('larger than a batch may be')
    expect(read).toBeLessThan(8)
  })
})
