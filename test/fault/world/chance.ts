/** 32 bits that look random and are the same for the same arguments. */
export function mix(a: number, b: number): number {
  return mix32(Math.imul(a, 0x9e3779b1) ^ mix32(b))
}

/** The mixer that partitions are defined by (proto/skybraid/v1/flow.proto). */
export function mix32(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Partition of a TCP connection. */
export function tcpPartition(diallerIsn: number, partitions: number): number {
  return mix32(diallerIsn) % partitions
}

/** Partition of a UDP flow, by its initiator's IPv4 address (as a little-endian word) and port. */
export function udpPartition(address: number, port: number, partitions: number): number {
  let hash = 0
  for (const word of [0, 0, 0xffff0000, address]) hash = mix32(hash ^ word)
  return mix32(hash ^ port) % partitions
}
