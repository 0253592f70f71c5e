import { createHash } from 'node:crypto'
import { fromSeed, type KeyPair } from '@nats-io/nkeys'

/** Prefixes of a seed and of an account in an nkey, as its first ten bits. */
const seedOfAccount = [18 << 3, 0]
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const shortest = 32

/**
 * The key that signs logins, made from a secret: a chart can make random text, and no nkeys. Equal secrets give equal
 * keys. Throws if the secret is too short to be one.
 */
export function issuerKey(secret: string): KeyPair {
  if (secret.length < shortest)
    throw new Error(`a secret of fewer than ${shortest} characters can be guessed`)
  const raw = createHash('sha256').update(`skybraid bus issuer\n${secret}`).digest()
  const body = Uint8Array.of(...seedOfAccount, ...raw)
  const sum = crc16(body)
  return fromSeed(new TextEncoder().encode(base32(Uint8Array.of(...body, sum & 0xff, sum >>> 8))))
}

/** CRC-16/XMODEM. */
function crc16(bytes: Uint8Array): number {
  let sum = 0
  for (const byte of bytes) {
    sum ^= byte << 8
    for (let bit = 0; bit < 8; bit++) sum = ((sum & 0x8000) === 0 ? sum << 1 : (sum << 1) ^ 0x1021) & 0xffff
  }
  return sum
}

function base32(bytes: Uint8Array): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff
    bits += 8
    for (; bits >= 5; bits -= 5) text += alphabet[(held >>> (bits - 5)) & 31]
  }
  return bits === 0 ? text : text + alphabet[(held << (5 - bits)) & 31]
}
