import { zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { mutateBatch } from './batch-mutator.ts'
import { createFuzzTarget, seedMinuteMs } from './fuzz-target.ts'
import { honestEnvelope } from './header-mutator.ts'
import { hostilePayload } from './payload-mutator.ts'
import { Random } from './random.ts'
import { fateOf, keptSeeds, validSeeds } from './seeds.ts'
import { wireBytes, wireFields } from './wire.ts'

describe('hostile batches', () => {
  it('that were kept still fare as their name says', () => {
    const seeds = keptSeeds()
    expect(seeds.length).toBeGreaterThan(20)
    const target = createFuzzTarget()
    expect(seeds.map(({ bytes }) => fateOf(bytes, target))).toEqual(
      seeds.map(({ name }) => name.split('.')[0]),
    )
  })

  it('begin from batches that are applied', () => {
    const target = createFuzzTarget()
    const fates = validSeeds(40).map(data => target.take({ encoding: 'raw', data, ...honestEnvelope('raw') }))
    expect(fates.filter(fate => fate.includes('true')).length).toBeGreaterThan(20)
    expect(fates.filter(fate => fate.startsWith('bad'))).toEqual([])
  })

  it('that are bombs are never blown up', () => {
    const target = createFuzzTarget()
    const fateOfZeros = (bytes: number) => {
      const data = zstdCompressSync(Buffer.alloc(bytes))
      return target.take({ encoding: 'zstd', data, ...honestEnvelope('zstd') })
    }
    expect([(1 << 20) + 1, 256 << 20].map(fateOfZeros)).toEqual(['no payload', 'no payload'])
    expect(fateOfZeros(256 * 1024 + 1)).toBe('too_large')
  })

  it('of the same seed are the same', () => {
    const seeds = validSeeds(8)
    const some = () => {
      const random = new Random(5)
      const payloads = Array.from({ length: 200 }, () => hostilePayload(seeds, random, seedMinuteMs))
      return payloads.map(({ encoding, data }) => `${encoding} ${Buffer.from(data).toString('hex')}`)
    }
    expect(some()).toEqual(some())
  })
})

describe('mutateBatch', () => {
  it('takes a batch apart and puts it together without a loss', () => {
    for (const seed of validSeeds(40))
      expect(Buffer.from(wireBytes(wireFields(seed))).equals(seed)).toBe(true)
  })

  it('leaves its seed as it was, and nearly always changes something', () => {
    const random = new Random(3)
    const seeds = validSeeds(40)
    const copies = seeds.map(seed => Uint8Array.from(seed))
    const changed = seeds.filter(seed => !Buffer.from(mutateBatch(seed, random, seedMinuteMs)).equals(seed))
    expect(changed.length).toBeGreaterThan(30)
    expect(seeds).toEqual(copies)
  })
})
