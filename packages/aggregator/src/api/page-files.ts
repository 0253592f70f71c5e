import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The folder of the page's files. They are plain files, not compiled: a build finds them in the package's sources. */
export function pageFolder(): string {
  const beside = fileURLToPath(new URL('./page/', import.meta.url))
  if (existsSync(beside)) return beside
  return fileURLToPath(new URL('../../src/api/page/', import.meta.url))
}
