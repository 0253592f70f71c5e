import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { claimDataFolder } from './data-folder.ts'

let base: string

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'skybraid-folder-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

/** What a process's entry in /proc says about when it began. */
function markOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
}

describe('claimDataFolder', () => {
  it('makes the folder with its parents, and can be had again after it was let go', () => {
    const path = join(base, 'a', 'b')
    const folder = claimDataFolder(path)
    expect(statSync(path).isDirectory()).toBe(true)
    expect(folder.wasKilled).toBe(false)
    folder.release()
    expect(claimDataFolder(path).wasKilled).toBe(false)
  })

  it('refuses, and soon, where no folder can be made', () => {
    expect(() => claimDataFolder('/proc/x/y')).toThrow(/ENOENT/)
    writeFileSync(join(base, 'file'), '')
    expect(() => claimDataFolder(join(base, 'file'))).toThrow(/not a folder/)
  })

  it('tells that the last holder was killed, and refuses while a holder lives', async () => {
    const other = spawn('sleep', ['60'])
    const pid = other.pid!
    writeFileSync(join(base, 'running'), markOf(pid))
    expect(() => claimDataFolder(base)).toThrow(`process ${pid} is using it`)
    other.kill('SIGKILL')
    await once(other, 'exit')
    expect(claimDataFolder(base).wasKilled).toBe(true)
  })
})
