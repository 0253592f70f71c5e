import { posix } from 'node:path'
import { readSource } from './tree.ts'

export interface Import {
  /** File from the root of the repository. */
  readonly from: string
  /** As written. */
  readonly specifier: string
  /** File from the root for relative imports; otherwise undefined. */
  readonly file: string | undefined
  readonly typeOnly: boolean
}

const statement = /^\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s*)?'([^']+)'/gm
const call = /\b(?:import|require)\(\s*['"]([^'"]+)['"]/g

/** The imports, exports-from, dynamic imports and requires with a literal name in a TypeScript file. */
export function importsOf(path: string): Import[] {
  const text = readSource(path)
  const found: Import[] = []
  const add = (specifier: string, typeOnly: boolean) => {
    const relative = specifier.startsWith('.')
    const file = relative ? posix.normalize(posix.join(posix.dirname(path), specifier)) : undefined
    found.push({ from: path, specifier, file, typeOnly })
  }
  for (const [, typeOnly, specifier] of text.matchAll(statement)) add(specifier!, typeOnly !== undefined)
  for (const [, specifier] of text.matchAll(call)) add(specifier!, false)
  return found
}

/** Every import cycle among the files, each once, as the list of files that import each other in turn. */
export function cyclesAmong(files: readonly string[]): string[][] {
  const targets = new Map<string, string[]>()
  for (const file of files) {
    // a type-only import is gone at run time and cannot make a cycle there
    const next = importsOf(file).filter(i => !i.typeOnly && i.file !== undefined)
    targets.set(
      file,
      next.map(i => i.file!),
    )
  }
  const done = new Set<string>()
  const path: string[] = []
  const cycles: string[][] = []
  const visit = (file: string) => {
    const at = path.indexOf(file)
    if (at >= 0) cycles.push([...path.slice(at), file])
    if (at >= 0 || done.has(file)) return
    path.push(file)
    for (const target of targets.get(file) ?? []) visit(target)
    path.pop()
    done.add(file)
  }
  for (const file of files) visit(file)
  return cycles
}
