import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { encodeFlowBatch } from '../../packages/shared/src/index.ts'
import { batchSeed, columnsFrom } from '../../packages/shared/src/record/batch.testing.ts'
import { createFuzzTarget, type FuzzTarget, seedMinuteMs } from './fuzz-target.ts'
import { honestEnvelope } from './header-mutator.ts'

export const seedFolder = fileURLToPath(new URL('seeds/', import.meta.url))

/** Batches that were worth keeping: each made the reader do something that the others don't. */
export function keptSeeds(): { readonly name: string; readonly bytes: Uint8Array }[] {
  return readdirSync(seedFolder)
    .filter(name => name.endsWith('.bin'))
    .sort()
    .map(name => ({ name, bytes: readFileSync(seedFolder + name) }))
}

const seedsOfAReason = 4
const seedsAccepted = 16

/** Why a batch is refused, or that it is not: the beginning of its seed's name. */
export function fateOf(bytes: Uint8Array, target: FuzzTarget): string {
  const fate = target.take({ encoding: 'raw', data: bytes, ...honestEnvelope('raw') })
  return /^\d/.test(fate) ? 'accepted' : fate
}

/** Keeps batches, a few of each fate, which their names begin with. */
export function writeSeeds(batches: readonly Uint8Array[]): void {
  const names = keptSeeds().map(({ name }) => name)
  const target = createFuzzTarget()
  for (const bytes of batches) {
    const fate = fateOf(bytes, target)
    const most = fate === 'accepted' ? seedsAccepted : seedsOfAReason
    if (names.filter(name => name.startsWith(`${fate}.`)).length >= most) continue
    const name = `${fate}.${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}.bin`
    names.push(name)
    writeFileSync(seedFolder + name, bytes)
  }
}

/** Valid batches of every shape, of the node and minute that targets take. */
export function validSeeds(count: number): Uint8Array[] {
  let firstRecord = 0
  return fc.sample(batchSeed, { numRuns: count, seed: 7 }).map((seed, index) => {
    const columns = columnsFrom({ ...seed, count: seed.count % (index % 32 === 0 ? 1_001 : 12) })
    Object.assign(columns.header, {
      node: 'n.1',
      partition: 0,
      bootId: '0000000000000001',
      sequence: index + 1,
      firstRecord,
      recordsEncoded: firstRecord + columns.count,
      losses: [],
      baseUnixMs: seedMinuteMs,
      sentUnixMs: seedMinuteMs + 30_000,
    })
    firstRecord += columns.count
    return encodeFlowBatch(columns)
  })
}
