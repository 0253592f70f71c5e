import { existsSync } from 'node:fs'
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { stateDirectory } from './names.ts'

// What a kubelet writes for the whole machine, and where a node's own folders are mounted.
const sysctls = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
]
const mountPoints = [
  '/var/lib/kubelet',
  '/var/lib/containerd',
  '/var/lib/cni',
  '/etc/cni',
  '/etc/cni/net.d',
  '/var/log/pods',
  '/var/log/containers',
]
const stateFile = `${stateDirectory}/machine.json`

interface MachineState {
  readonly sysctls: Readonly<Record<string, string>>
  readonly madeFolders: readonly string[]
}

/** Remembers what the cluster changes outside its own namespaces, and makes the mount points. */
export async function saveMachine(): Promise<void> {
  if (existsSync(stateFile)) return
  const present = sysctls.filter(name => existsSync(`/proc/sys/${name}`))
  const values = await Promise.all(
    present.map(async name => [name, (await readFile(`/proc/sys/${name}`, 'utf8')).trim()] as const),
  )
  const madeFolders = mountPoints.filter(path => !existsSync(path))
  const state: MachineState = { sysctls: Object.fromEntries(values), madeFolders }
  await writeFile(stateFile, JSON.stringify(state))
  for (const path of madeFolders) await mkdir(path, { recursive: true })
}

/** Puts back what `saveMachine` remembered. Folders that somebody uses by now stay. */
export async function restoreMachine(): Promise<void> {
  if (!existsSync(stateFile)) return
  const state = JSON.parse(await readFile(stateFile, 'utf8')) as MachineState
  for (const [name, value] of Object.entries(state.sysctls)) {
    const path = `/proc/sys/${name}`
    if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value)
  }
  for (const path of state.madeFolders.toReversed()) await rmdir(path).catch(() => {})
}
