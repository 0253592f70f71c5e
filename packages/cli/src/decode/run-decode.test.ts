import { compressFlowPayload } from '@skybraid/shared/flow-body'
import { describe, expect, it } from 'vitest'
import { batchOf } from '../flow-lines/rows.testing.ts'
import { run } from '../run.ts'

async function decode(args: string[], ...chunks: Uint8Array[]) {
  const text = { out: '', err: '' }
  async function* stdin() {
    yield* chunks
  }
  const code = await run(['decode', ...args], {
    env: { SKYBRAID_LISTEN: '127.0.0.1:1' },
    stdin: stdin(),
    stdout: { write: (part: string) => (text.out += part) },
    stderr: { write: (part: string) => (text.err += part) },
  })
  return { code, ...text }
}

const batch = batchOf({ records: [{}, {}] })

describe('skybraid decode', () => {
  it.each([
    ['raw', [batch]],
    ['in pieces', [batch.subarray(0, 7), batch.subarray(7)]],
    ['compressed', [compressFlowPayload(batch)]],
  ])('prints a batch that comes %s', async (_, chunks) => {
    const { code, out, err } = await decode([], ...chunks)
    expect({ code, err, lines: out.trimEnd().split('\n').length }).toEqual({ code: 0, err: '', lines: 3 })
    expect(out).toMatch(/^# batch of n1, cluster local, .*2 records/)
  })

  it('prints JSON', async () => {
    const { out } = await decode(['-o', 'json'], batch)
    expect(JSON.parse(out)).toMatchObject([
      { type: 'batch', recordCount: 2 },
      { type: 'flow' },
      { type: 'flow' },
    ])
  })

  it.each<[string, Uint8Array[]]>([
    ['nothing', []],
    ['half a batch', [batch.subarray(0, 60)]],
    ['noise', [Uint8Array.from({ length: 500 }, (_, index) => (index * 37) & 0xff)]],
    ['half a frame', [compressFlowPayload(batch).subarray(0, 20)]],
    ['a bomb', [compressFlowPayload(new Uint8Array(50 << 20))]],
    ['too much', Array.from({ length: 100 }, () => new Uint8Array(64 << 10))],
  ])('says in one sentence why it cannot read %s, and ends with 1', async (_, chunks) => {
    const { code, out, err } = await decode([], ...chunks)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/^skybraid: Standard input holds no batch that can be read: [^\n]+\.\n$/)
  })

  it('ends with 2 if the command line is wrong', async () => {
    expect(await decode(['-o', 'xml'], batch)).toMatchObject({ code: 2, out: '' })
    expect(await decode(['-x'], batch)).toMatchObject({
      code: 2,
      err: expect.stringContaining('Unknown flag -x'),
    })
  })
})
