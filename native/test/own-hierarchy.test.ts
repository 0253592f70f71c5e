import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ObservedGroup } from './observed-group.ts'

const canCapture = process.getuid?.() === 0 && existsSync('/sys/kernel/btf/vmlinux')
const program = join(import.meta.dirname, 'own-hierarchy.ts')

interface Seen {
  readonly pid: number
  readonly roles: number[]
  readonly owners: string[]
}

describe.skipIf(!canCapture)('a node with a cgroup namespace of its own', () => {
  let group: ObservedGroup
  let mount: string

  beforeEach(() => {
    group = new ObservedGroup()
    mount = mkdtempSync(join(tmpdir(), 'skybraid-cgroup2-'))
  })
  afterEach(async () => {
    await group.remove()
    rmdirSync(mount)
  })

  /** Runs a program below the group, in a namespace whose root is `cgroup`, mounted at `mount`. */
  const runIn = (cgroup: string, enter: string): string => {
    const inside = `mount -t cgroup2 none ${mount} && ${enter} && exec "$0" --conditions=source ${program} ${mount}`
    const outside = `echo $$ > ${cgroup}/cgroup.procs && exec unshare --cgroup --mount sh -c '${inside}' "$0"`
    return execFileSync('sh', ['-c', outside, process.execPath], { encoding: 'utf8', stdio: 'pipe' })
  }

  it('is observed from its root down, though nobody in it sees what is above', () => {
    const { pid, roles, owners } = JSON.parse(runIn(group.path, 'true')) as Seen
    expect(roles).toEqual([1, 2])
    for (const owner of owners) expect(owner).toContain(`pid: ${pid}`)
  })

  it('is refused with a plain sentence to a collector that is not in it', () => {
    const away = `echo $$ > ${join(group.path, '..')}/cgroup.procs`
    expect(() => runIn(group.path, away)).toThrow(/does not hold this collector/)
  })
})
