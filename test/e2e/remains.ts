import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { cgroupMount } from '../lab/cgroups.ts'
import { runRoot } from '../lab/names.ts'

/** What a program that runs has of the machine. Each entry names one thing in words. */
export type Holdings = ReadonlySet<string>

const kinds = ['prog', 'map', 'link'] as const

/** Kernel objects that these processes have open. */
export function kernelObjectsOf(pids: readonly number[]): Holdings {
  const found = new Set<string>()
  for (const pid of pids) {
    for (const fd of entries(`/proc/${pid}/fdinfo`)) {
      const info = contents(`/proc/${pid}/fdinfo/${fd}`)
      for (const kind of kinds) {
        const id = new RegExp(`^${kind}_id:\\s*(\\d+)$`, 'm').exec(info)
        if (id) found.add(`${kind} ${id[1]}`)
      }
    }
  }
  return found
}

/** All programs, maps and links that the kernel has, whoever loaded them. */
export function kernelObjects(): Holdings {
  return new Set(
    kinds.flatMap(kind => {
      const list = JSON.parse(execFileSync('bpftool', [kind, 'list', '-j'], { encoding: 'utf8' }))
      return (list as { id: number }[]).map(({ id }) => `${kind} ${id}`)
    }),
  )
}

/** Processes that were started with this variable in their environment, or by one that was. */
export function processesWith(variable: string): number[] {
  return entries('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => contents(`/proc/${pid}/environ`).split('\0').includes(variable))
    .map(Number)
}

/** Namespaces, cgroups and folders of labs. Devices and rules of theirs are in the namespaces. */
export async function labPieces(): Promise<Holdings> {
  const named = (what: string, names: readonly string[]) =>
    names.filter(name => /^(skylab|skybraid-lab)-/.test(name)).map(name => `${what} ${name}`)
  return new Set([
    ...named('namespace', entries('/run/netns')),
    ...named('cgroup', entries(await cgroupMount())),
    ...entries(runRoot).map(name => `folder ${name}`),
  ])
}

/** What is in `after` and was not in `before`. */
export const added = (before: Holdings, after: Holdings): string[] =>
  [...after].filter(what => !before.has(what)).sort()

/** What is in both. */
export const common = (one: Holdings, other: Holdings): string[] =>
  [...one].filter(what => other.has(what)).sort()

function entries(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** Empty where the file went away, or belongs to a process that did. */
function contents(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
