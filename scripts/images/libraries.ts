import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import type { Entry } from './layer.ts'

export interface Library {
  readonly entry: Entry & { readonly content: Buffer }
  /** The Debian package it comes from; undefined on other systems. */
  readonly from?: { readonly name: string; readonly version: string }
}

/** Shared libraries and the loader that the programs need, at the paths where the loader looks for them. */
export function librariesOf(programs: readonly string[]): Library[] {
  const paths = new Set<string>()
  for (const program of programs) {
    const output = execFileSync('ldd', [program], { encoding: 'utf8' })
    const lost = /^\s*(\S+) => not found/m.exec(output)
    if (lost) throw new Error(`${program} needs ${lost[1]}, which is not installed`)
    for (const [, path] of output.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) paths.add(path!)
  }
  return [...paths].sort().map(path => {
    const from = debianPackage(path)
    return {
      entry: { path: path.slice(1), content: readFileSync(realpathSync(path)), mode: 0o755 },
      ...(from === undefined ? {} : { from }),
    }
  })
}

function debianPackage(path: string): { name: string; version: string } | undefined {
  for (const candidate of [
    path,
    realpathSync(path),
    `/usr${path}`,
    realpathSync(path).replace(/^\/usr/, ''),
  ]) {
    try {
      const owner = ask('-S', candidate).split(': ')[0]!
      // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders of dpkg-query
      const shown = ask('-W', '-f', '${Package} ${Version}\n', owner)
      const [name, version] = shown.trim().split(/\s/)
      return { name: name!, version: version! }
    } catch {
      // not known by this path, or no Debian
    }
  }
  return undefined
}

function ask(...args: string[]): string {
  return execFileSync('dpkg-query', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}
