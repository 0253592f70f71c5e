import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { cgroupName } from './names.ts'
import { type LabSpec, nodeOf, type PodSpec } from './spec.ts'
import { until } from './until.ts'

/** Where cgroup2 is mounted on this machine (also on hybrid hosts); throws when it is nowhere. */
export async function cgroupMount(): Promise<string> {
  for (const line of (await readFile('/proc/self/mounts', 'utf8')).split('\n')) {
    const [, where, type] = line.split(' ')
    if (type === 'cgroup2') return where!
  }
  throw new Error('no cgroup2 mount: the lab needs one (mount -t cgroup2 none /sys/fs/cgroup/unified)')
}

export const labCgroup = async (labId: string) => `${await cgroupMount()}/${cgroupName(labId)}`
export const nodeCgroup = async (spec: LabSpec, node: string) => `${await labCgroup(spec.id)}/${node}`

/** The directory a container runtime would use for the pod's only container, by the node's cgroup driver. */
export async function podCgroup(spec: LabSpec, pod: PodSpec): Promise<string> {
  const node = await nodeCgroup(spec, pod.node)
  if (nodeOf(spec, pod.node).cgroupDriver === 'cgroupfs')
    return `${node}/kubepods/burstable/pod${pod.uid}/${pod.containerId}`
  const uid = pod.uid.replaceAll('-', '_')
  const slice = `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid}.slice`
  return `${node}/${slice}/cri-containerd-${pod.containerId}.scope`
}

/** A system service on the node itself. */
export const unitCgroup = async (spec: LabSpec, node: string, unit: string) =>
  `${await nodeCgroup(spec, node)}/system.slice/${unit}.service`

export const outsideCgroup = async (spec: LabSpec) => `${await labCgroup(spec.id)}/outside`

export const addCgroup = (directory: string) => mkdir(directory, { recursive: true })

/** Processes in a cgroup and below it. */
export async function cgroupProcesses(directory: string): Promise<number[]> {
  const pids: number[] = []
  for (const dir of await subtree(directory)) {
    const text = await readFile(`${dir}/cgroup.procs`, 'utf8').catch(() => '')
    for (const line of text.split('\n')) if (line !== '') pids.push(Number(line))
  }
  return pids
}

/** Kills everything in a subtree, waits until it is empty and removes it. Nothing to do is no error. */
export async function removeCgroup(directory: string): Promise<void> {
  if ((await subtree(directory)).length === 0) return
  await until(
    `cgroup ${directory} empty`,
    async () => {
      await killAll(directory)
      return (await cgroupProcesses(directory)).length === 0
    },
    { describe: async () => `processes ${(await cgroupProcesses(directory)).join(' ')}` },
  )
  for (const dir of (await subtree(directory)).reverse())
    await until(`cgroup ${dir} removed`, () =>
      rmdir(dir).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
      ),
    )
}

async function killAll(directory: string): Promise<void> {
  try {
    await writeFile(`${directory}/cgroup.kill`, '1')
  } catch {
    // before 5.14 there is no cgroup.kill: the same by process id
    for (const pid of await cgroupProcesses(directory)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // ended in between
      }
    }
  }
}

/** The directory and all below it, parents first; empty when it does not exist. */
async function subtree(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => undefined)
  if (!entries) return []
  const below = entries.filter(e => e.isDirectory()).map(e => subtree(`${directory}/${e.name}`))
  return [directory, ...(await Promise.all(below)).flat()]
}
