import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type NativeUsual, nativeLayout, type OpenNativeUsual } from '../join/native-usual.ts'

interface Library {
  readonly UsualRecords: new (seed: number, scratch: readonly Int32Array[]) => NativeUsual
  layout(): Readonly<Record<string, number>>
}

const libraryPath = join('native', 'build', 'join.node')

/**
 * The library that books usual records. Undefined where it is not built: then the join does the same without it, and
 * takes longer. Throws where it is there and can't be right.
 */
export function openNativeJoin(): OpenNativeUsual | undefined {
  const path = findUpwards(libraryPath)
  if (path === undefined) return undefined
  const { UsualRecords, layout } = createRequire(import.meta.url)(path) as Library
  const ours = nativeLayout()
  for (const [name, number] of Object.entries(layout()))
    if (ours[name] !== number)
      throw new Error(`${path} is of another build: ${name} is ${number} there and ${ours[name]} here.`)
  return (seed, scratch) => new UsualRecords(seed, scratch)
}

/** The nearest `relative` in a folder above this file, so that sources, dist and an installed tree all work. */
function findUpwards(relative: string): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const candidate = join(folder, relative)
    if (existsSync(candidate)) return candidate
    const parent = dirname(folder)
    if (parent === folder) return undefined
    folder = parent
  }
}
