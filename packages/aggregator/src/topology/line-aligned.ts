/** What the processor fetches at a time. */
export const lineBytes = 64
/** Large blocks come from the C library as pages of their own, behind its note of their size: 16 bytes. */
const noteBytes = 16

/**
 * A buffer, and where in it to begin so that lines of the array are lines of memory. A script can't see addresses: where
 * the guess is wrong, as it may be for blocks of less than 32 MiB, reading costs a little more and nothing else changes.
 */
export function lineAligned(bytes: number): { buffer: ArrayBuffer; at: number } {
  return { buffer: new ArrayBuffer(bytes + lineBytes), at: lineBytes - noteBytes }
}
