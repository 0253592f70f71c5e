import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** A data folder that this process holds alone until it lets go of it. */
export interface DataFolder {
  /** The process that held it last did not get to let go: what it had of its running minute is gone. */
  readonly wasKilled: boolean
  release(): void
}

const marker = 'running'

/** Makes the folder and marks it as held. Throws if that is impossible or another living process holds it. */
export function claimDataFolder(directory: string): DataFolder {
  makeFolder(resolve(directory))
  const path = join(directory, marker)
  const holder = readMarker(path)
  if (holder !== undefined && holder !== ownMark() && isAlive(holder)) {
    throw new Error(`process ${holder.split(' ')[0]} is using it`)
  }
  writeFileSync(path, ownMark(), { mode: 0o640 })
  return { wasKilled: holder !== undefined, release: () => rmSync(path, { force: true }) }
}

/** Folder by folder, because Node's own recursive way never ends where the kernel says that a parent is missing. */
function makeFolder(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory()) return
  if (found !== undefined) throw new Error(`${path} is not a folder`)
  if (dirname(path) !== path) makeFolder(dirname(path))
  mkdirSync(path, { mode: 0o750 })
}

function readMarker(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // no marker, or none that can be read: then writing ours will say why
    return undefined
  }
}

/** A process id and when that process began, since ids are used again. */
function markOf(pid: number | 'self'): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return `${stat.slice(0, stat.indexOf(' '))} ${fields[19]}`
}

function ownMark(): string {
  return markOf('self')
}

function isAlive(mark: string): boolean {
  const pid = Number(mark.split(' ')[0])
  try {
    return Number.isSafeInteger(pid) && pid > 0 && markOf(pid) === mark
  } catch {
    // its entry in /proc is gone, and so is the process
    return false
  }
}
