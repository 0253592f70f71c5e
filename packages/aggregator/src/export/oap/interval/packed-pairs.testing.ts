import type { EndName } from './end-name.ts'
import { type PackedPairs, PairPacker } from './packed-pairs.ts'
import type { PodPair } from './pod-pair.ts'

export function packPairs(pairs: readonly PodPair[]): PackedPairs {
  const ends: EndName[] = [...new Set(pairs.flatMap(({ local, remote }) => [local, remote]))]
  const numbers = new Map(ends.map((end, number) => [end, number]))
  const packer = new PairPacker()
  for (const { role, local, remote, amounts } of pairs)
    packer.add(role, numbers.get(local)!, numbers.get(remote)!, amounts, 0)
  return packer.finish(ends)
}
