import { zstdCompressSync } from 'node:zlib'
import { compressFlowPayload } from '../../packages/shared/src/nats/index.ts'
import { mutateBatch, mutateBytes, noise } from './batch-mutator.ts'
import type { Payload } from './fuzz-target.ts'
import { honestEnvelope, hostileEnvelope } from './header-mutator.ts'
import type { Random } from './random.ts'

/** Zeros that take a few kilobytes on the wire: more than a batch may have by one byte, and by far. */
const bombs = [256 * 1024 + 1, (1 << 20) + 1, 64 << 20].map(size => zstdCompressSync(new Uint8Array(size)))

/** A message made from one of the seeds: usually a changed batch, sometimes another kind of lie. */
export function hostilePayload(seeds: readonly Uint8Array[], random: Random, nowMs: number): Payload {
  const body = hostileBody(seeds, random, nowMs)
  const payload = { ...body, ...honestEnvelope(body.encoding) }
  return random.oneIn(8) ? hostileEnvelope(payload, random) : payload
}

type Body = Pick<Payload, 'encoding' | 'data'>

function hostileBody(seeds: readonly Uint8Array[], random: Random, nowMs: number): Body {
  const seed = random.pick(seeds)
  const kind = random.below(100)
  if (kind === 0) return { encoding: 'raw', data: seed }
  if (kind === 1) return { encoding: 'zstd', data: mutateBytes(compressFlowPayload(seed), random) }
  if (kind === 2) return { encoding: 'zstd', data: seed }
  if (kind === 3) return { encoding: 'raw', data: compressFlowPayload(seed) }
  if (kind === 4) return { encoding: 'raw', data: noise(random, random.below(400)) }
  if (kind === 5 && random.oneIn(20)) return { encoding: 'zstd', data: random.pick(bombs) }
  if (kind === 6 && random.oneIn(20)) return { encoding: 'raw', data: noise(random, 300_000) }
  const data = mutateBatch(kind === 7 ? spliced(seed, random.pick(seeds), random) : seed, random, nowMs)
  return kind > 96 ? { encoding: 'zstd', data: compressFlowPayload(data) } : { encoding: 'raw', data }
}

const pokes = [0, 1, 0x7f, 0x80, 0xff]
const headBytes = 160

/** The same message with one to three other bytes, half of them in its head: cheap, so there are many of these. */
export function poked({ data, ...rest }: Payload, random: Random): Payload {
  const changed = Uint8Array.from(data)
  if (changed.length === 0) return { ...rest, data: changed }
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const at = random.below(random.oneIn(2) ? changed.length : Math.min(headBytes, changed.length))
    changed[at] = random.oneIn(2) ? random.pick(pokes) : changed[at]! ^ (1 << random.below(8))
  }
  return { ...rest, data: changed }
}

/** The beginning of one and the end of another. */
function spliced(first: Uint8Array, second: Uint8Array, random: Random): Uint8Array {
  return Buffer.concat([
    first.subarray(0, random.below(first.length + 1)),
    second.subarray(random.below(second.length + 1)),
  ])
}
