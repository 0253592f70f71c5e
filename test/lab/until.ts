const usualMs = 60_000

/**
 * Polls until `probe` returns something other than undefined or false, and returns that. The limit bounds a hang: it is
 * no measure of how quick something is, which a machine with much else to do would fail.
 * Throws after `timeoutMs`, naming what was awaited and the last thing `describe` said.
 */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  options: {
    readonly timeoutMs?: number
    readonly everyMs?: number
    readonly describe?: () => string | Promise<string>
  } = {},
): Promise<T> {
  const deadline = performance.now() + (options.timeoutMs ?? usualMs)
  for (;;) {
    const value = await probe()
    if (value !== undefined && value !== false) return value
    if (performance.now() > deadline) {
      const last = options.describe ? `: ${await options.describe()}` : ''
      throw new Error(`not within ${options.timeoutMs ?? usualMs} ms: ${what}${last}`)
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    setTimeout(resolve, options.everyMs ?? 20)
    await promise
  }
}
