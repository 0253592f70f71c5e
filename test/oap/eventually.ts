import { vi } from 'vitest'

/**
 * Waits until OAP shows it. It writes down what it has every five seconds, one table after the other, and lists of
 * services are ten seconds old: a slow machine needs a multiple of that.
 */
export function eventually(expectation: () => Promise<void>, timeoutMs = 240_000): Promise<void> {
  return vi.waitFor(expectation, { timeout: timeoutMs, interval: 1_000 })
}
