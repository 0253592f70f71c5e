import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { until } from '../../lab/until.ts'

/** One mounted cgroup hierarchy of this machine. */
export interface Hierarchy {
  readonly mountPoint: string
  /** What `mount -o` needs to mount the same one again; empty for cgroup2. */
  readonly controllers: string
  readonly isCgroup2: boolean
}

const kinds = /^(?:\d+ ){2}\S+ \/ (\S+) .* - (cgroup2?) \S+ (\S+)$/

/** Hierarchies that a mountinfo text names, whole ones only. */
export function hierarchiesIn(mountinfo: string): Hierarchy[] {
  const found = mountinfo.split('\n').flatMap(line => {
    const [, mountPoint, type, options] = kinds.exec(line) ?? []
    if (!mountPoint || !options) return []
    const isCgroup2 = type === 'cgroup2'
    const controllers = options
      .split(',')
      .filter(o => !['rw', 'ro', 'xattr'].includes(o) && !o.includes('agent='))
    const named = controllers.some(o => o.startsWith('name=')) ? ['none', ...controllers] : controllers
    return [{ mountPoint, controllers: isCgroup2 ? '' : named.join(','), isCgroup2 }]
  })
  return found.filter((h, i) => found.findIndex(other => other.mountPoint === h.mountPoint) === i)
}

export const readHierarchies = async () => hierarchiesIn(await readFile('/proc/self/mountinfo', 'utf8'))

/** Makes the cgroup in every hierarchy; a new one of cpuset takes processors and memory from its parent. */
export async function addEverywhere(hierarchies: readonly Hierarchy[], path: string): Promise<string[]> {
  const directories = hierarchies.map(h => `${h.mountPoint}/${path}`)
  for (const directory of directories) await mkdir(directory, { recursive: true })
  for (const { mountPoint, controllers } of hierarchies) {
    if (!controllers.split(',').includes('cpuset')) continue
    let parent = mountPoint
    for (const part of path.split('/')) {
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        const own = `${parent}/${part}/${file}`
        if ((await readFile(own, 'utf8')).trim() === '')
          await writeFile(own, await readFile(`${parent}/${file}`))
      }
      parent += `/${part}`
    }
  }
  return directories
}

/** Kills all that runs in the cgroup2 subtree, waits until it is gone, and removes the cgroup from every hierarchy. */
export async function removeEverywhere(hierarchies: readonly Hierarchy[], path: string): Promise<void> {
  const unified = hierarchies.find(h => h.isCgroup2)
  const directory = `${unified?.mountPoint}/${path}`
  if (existsSync(`${directory}/cgroup.kill`)) {
    await writeFile(`${directory}/cgroup.kill`, '1')
    await until(
      `every process in ${directory} is gone`,
      async () => /^populated 0$/m.test(await readFile(`${directory}/cgroup.events`, 'utf8')),
      { timeoutMs: 60_000 },
    )
  }
  for (const { mountPoint } of hierarchies) {
    const own = `${mountPoint}/${path}`
    // a process that was killed leaves its last hierarchy a moment later
    await until(`${own} is removed`, async () => (await removeTree(own)) && !existsSync(own), {
      timeoutMs: 60_000,
      everyMs: 50,
    })
  }
}

async function removeTree(directory: string): Promise<boolean> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await removeTree(`${directory}/${entry.name}`)
  return rmdir(directory).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  )
}
