import { mix32 } from '../../../packages/shared/src/index.ts'

/** 32 bits that look random and are the same for the same arguments. */
export function mix(a: number, b: number): number {
  return mix32(Math.imul(a, 0x9e3779b1) ^ mix32(b))
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
