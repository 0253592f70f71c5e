import { unwatchFile, watchFile } from 'node:fs'

/** How often the file is looked at; a mounted ConfigMap changes without a signal. */
const lookEveryMs = 2_000

/** Calls `reload` at SIGHUP and whenever the file changes; the answer ends that. */
export function reloadAt(configPath: string | undefined, reload: () => void): () => void {
  process.on('SIGHUP', reload)
  if (configPath !== undefined) watchFile(configPath, { interval: lookEveryMs, persistent: false }, reload)
  return () => {
    process.off('SIGHUP', reload)
    if (configPath !== undefined) unwatchFile(configPath, reload)
  }
}

/** Names of the options whose values differ, other than those that can change while the program runs. */
export function changedOptions(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  reloadable: readonly string[],
): string[] {
  return Object.keys(after).filter(
    name => !reloadable.includes(name) && JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  )
}
