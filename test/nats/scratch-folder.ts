import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const prefix = 'skybraid-nats-'
const ours = new Set<string>()

process.on('exit', () => {
  for (const folder of ours) removeFolder(folder)
})

/** A new folder below the system's temporary one; gone when this process ends, or, if that was killed, at the next call. */
export function scratchFolder(): string {
  if (ours.size === 0) removeOrphans()
  const folder = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`))
  ours.add(folder)
  return folder
}

export function removeFolder(folder: string): void {
  ours.delete(folder)
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

/** Folders of processes that live no more. */
function removeOrphans(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(/^skybraid-nats-(\d+)-/.exec(name)?.[1])
    if (pid > 0 && !isAlive(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
