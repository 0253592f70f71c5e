/** A new id for a start of a collector: 16 hexadecimal digits. */
export function randomBootId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}
