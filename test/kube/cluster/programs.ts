import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Folders of the programs that were built for the cluster, and paths of Debian's. */
export interface Programs {
  readonly kubernetes: string
  readonly containerd: string
  readonly cni: string
  readonly coredns: string
  readonly helm: string
  readonly runc: string
  readonly etcd: string
}

const script = fileURLToPath(new URL('../../../scripts/kube-programs.sh', import.meta.url))
const debian = { runc: ['/usr/sbin/runc', '/usr/bin/runc'], etcd: ['/usr/bin/etcd', '/usr/local/bin/etcd'] }

/** Why the cluster can't run on this machine; empty when it can. */
export function whyNoCluster(): string {
  if (process.getuid?.() !== 0) return 'not root: it makes namespaces, mounts and cgroups'
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
  if (!/ cgroup2 /.test(mounts)) return 'no cgroup2 is mounted'
  if (!/ cgroup [^ ]*\bmemory\b/.test(mounts))
    return 'the controllers are not in cgroup v1 hierarchies beside cgroup2, the one layout it was tried with'
  const missing = Object.entries(debian).filter(([, paths]) => !paths.some(existsSync))
  if (missing.length > 0) return `not installed: ${missing.map(([name]) => name).join(', ')}`
  const built = spawnSync('bash', [script, '--built'], { encoding: 'utf8' })
  return built.status === 0 ? '' : built.stderr.trim()
}

/** Builds what is missing; lines on the way go to standard error. */
export async function ensurePrograms(): Promise<Programs> {
  const child = spawn('bash', [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject)
  child.once('close', resolve)
  if ((await promise) !== 0) throw new Error('the programs of the cluster could not be built; see above')
  const folders = Object.fromEntries(
    output
      .trim()
      .split('\n')
      .map(line => line.split(' ')),
  )
  const installed = Object.fromEntries(
    Object.entries(debian).map(([name, paths]) => {
      const path = paths.find(existsSync)
      if (!path) throw new Error(`${name} is not installed: npm run kube -- build installs it`)
      return [name, path]
    }),
  )
  return { ...folders, ...installed } as unknown as Programs
}
