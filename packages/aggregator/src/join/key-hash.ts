/**
 * Hashes of keys. All are mixed with a random seed, so that a sender can't choose keys that collide. `pairHash` is
 * symmetric: after a simultaneous open the two ends name the two sequence numbers in opposite order.
 */
export function pairHash(seed: number, a: number, b: number, slotClass: number): number {
  const both = (a ^ b) | 0
  const sum = (a + b) | 0
  return mix(seed + slotClass, both, sum)
}

export function mix(seed: number, a: number, b: number): number {
  let h = Math.imul((a ^ seed) | 0, 0x85ebca6b)
  h = (h ^ (h >>> 15)) | 0
  h = Math.imul((h + b) | 0, 0xc2b2ae35)
  h = (h ^ (h >>> 13)) | 0
  h = Math.imul(h, 0x27d4eb2f)
  return (h ^ (h >>> 16)) >>> 0
}

/** Four bytes read as a little-endian u32, as the address columns are. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}
