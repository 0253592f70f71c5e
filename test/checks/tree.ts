import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

const generated = /(^|\/)(node_modules|dist|build|coverage|\.cache)(\/|$)/

/** Files of the repository that match, as paths from its root, built and installed ones left out. */
export function filesMatching(patterns: readonly string[]): string[] {
  const found = globSync([...patterns], { cwd: root, exclude: path => generated.test(path) })
  return found.filter(path => !generated.test(path)).sort()
}

export function readSource(path: string): string {
  return readFileSync(root + path, 'utf8')
}
