import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../../lab/run-command.ts'
import { until } from '../../lab/until.ts'
import { addEverywhere, readHierarchies, removeEverywhere } from './hierarchies.ts'
import { type NodeName, netnsPath, nodeDirectory, pkiDirectory } from './names.ts'
import { writeNodeFiles } from './node-files.ts'
import { isAlive, pidIn, startServer } from './process-of.ts'
import type { Programs } from './programs.ts'

const script = fileURLToPath(new URL('./node.sh', import.meta.url))
const pidFile = (node: NodeName) => `${nodeDirectory(node)}/node.pid`
const containerdPid = (node: NodeName) => pidIn(`${nodeDirectory(node)}/containerd.pid`)

/** Starts a node's containerd, kubelet and proxy unless they run. */
export async function startNode(node: NodeName, programs: Programs): Promise<void> {
  if (isAlive(await pidIn(pidFile(node)))) return
  const hierarchies = await readHierarchies()
  // pod cgroups of a node that was killed hold the next kubelet up for seconds each
  await removeEverywhere(hierarchies, node.name)
  const cgroups = await addEverywhere(hierarchies, `${node.name}/system`)
  await writeNodeFiles(node, programs.cni, programs.runc)
  await startServer({
    argv: [
      'nsenter',
      `--net=${netnsPath(node.name)}`,
      '--',
      'unshare',
      '--mount',
      '--uts',
      '--cgroup',
      '--propagation',
      'private',
      script,
      node.name,
      node.address,
      nodeDirectory(node),
    ],
    // its root is the node's own cgroup, not the one below that its processes join
    cgroups: cgroups.map(directory => directory.replace(/\/system$/, '')),
    log: `${nodeDirectory(node)}/node.log`,
    pidFile: pidFile(node),
    env: {
      HIERARCHIES: hierarchies.map(h => `${basename(h.mountPoint)}=${h.controllers}`).join(' '),
      PROGRAMS: `${programs.containerd}:${programs.kubernetes}`,
      PKI: pkiDirectory,
    },
  })
}

/** Prefix that runs a program on the node: its network, its mounts, its host name. */
export async function onNode(node: NodeName): Promise<string[]> {
  const pid = await containerdPid(node)
  if (!isAlive(pid)) throw new Error(`${node.name} is not up`)
  return ['nsenter', '-t', `${pid}`, '-n', '-m', '-u', '--']
}

export async function isNodeUp(node: NodeName): Promise<boolean> {
  return existsSync(netnsPath(node.name)) && isAlive(await containerdPid(node))
}

/** Imports archives of images into a node; pods find them at once. */
export async function importImages(node: NodeName, programs: Programs, archives: readonly string[]) {
  const ctr = async (...args: string[]) => [...(await onNode(node)), `${programs.containerd}/ctr`, ...args]
  await until(
    `containerd of ${node.name} answers`,
    async () => {
      if (!(await isNodeUp(node))) return false
      const { code } = await runCommand(await ctr('--connect-timeout', '1s', 'version'), {
        allowFailure: true,
      })
      return code === 0
    },
    { timeoutMs: 120_000, everyMs: 100 },
  )
  for (const archive of archives)
    await runCommand(await ctr('--namespace', 'k8s.io', 'images', 'import', '--local', resolve(archive)))
}
