import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { createServer } from 'node:net'
import { release } from 'node:os'
import { formatHostPort, type HostPort } from '@skybraid/shared'
import type { NodeSpec } from './node-spec.ts'

export type PortAnswer = 'free' | 'taken' | 'not_here' | 'refused'

/** Everything about a machine that decides whether capture can start. */
export interface SystemFacts {
  readonly uid: number
  /** Bit mask as in CapEff of /proc/self/status. */
  readonly effectiveCapabilities: bigint
  readonly kernelRelease: string
  readonly btf: boolean
  /** Where a whole cgroup2 hierarchy is mounted; undefined if nowhere. */
  readonly cgroup2Root: string | undefined
  /** The directories asked for with --node. */
  readonly cgroups: readonly { readonly node: string; readonly path: string; readonly isCgroup2: boolean }[]
  readonly lockdown: 'none' | 'integrity' | 'confidentiality' | 'unknown'
  readonly listen: { readonly address: string; readonly answer: PortAnswer; readonly suggestion: string }
}

/** Reads the facts of this machine. Never throws for what a machine lacks: that is what the facts say. */
export async function readSystemFacts(listen: HostPort, nodes: readonly NodeSpec[]): Promise<SystemFacts> {
  return {
    uid: process.geteuid?.() ?? -1,
    effectiveCapabilities: capabilitiesIn(readText('/proc/self/status')),
    kernelRelease: release(),
    btf: existsSync('/sys/kernel/btf/vmlinux'),
    cgroup2Root: cgroup2RootIn(readText('/proc/self/mountinfo')),
    cgroups: nodes.map(({ name, cgroupPath }) => ({
      node: name,
      path: cgroupPath,
      isCgroup2: isCgroup2(cgroupPath),
    })),
    lockdown: lockdownIn(readText('/sys/kernel/security/lockdown')),
    listen: {
      address: formatHostPort(listen),
      answer: await askPort(listen),
      suggestion: formatHostPort({ host: listen.host, port: suggestedPort(listen.port) }),
    },
  }
}

/** CapEff of a /proc/PID/status text; 0 if it has none. */
export function capabilitiesIn(status: string): bigint {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  return hex === undefined ? 0n : BigInt(`0x${hex}`)
}

/** Mount point of the first complete cgroup2 hierarchy of a mountinfo text (see proc(5) for its octal escapes). */
export function cgroup2RootIn(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ')
    if (!right.startsWith('cgroup2 ')) continue
    const [, , , root, mountPoint] = left.split(' ')
    if (root !== '/' || mountPoint === undefined) continue
    return mountPoint.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
  }
  return undefined
}

/** The bracketed word of /sys/kernel/security/lockdown. */
export function lockdownIn(text: string): SystemFacts['lockdown'] {
  const level = /\[(none|integrity|confidentiality)\]/.exec(text)?.[1]
  return level === undefined ? 'unknown' : (level as SystemFacts['lockdown'])
}

const cgroup2Magic = 0x63677270

function isCgroup2(path: string): boolean {
  try {
    return statfsSync(path).type === cgroup2Magic
  } catch {
    return false // a directory that is not there is no cgroup either
  }
}

/** Binds the address for a moment to see whether it can be had. */
function askPort({ host, port }: HostPort): Promise<PortAnswer> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve('taken')
      else if (error.code === 'EACCES' || error.code === 'EPERM') resolve('refused')
      else resolve('not_here')
    })
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve('free')))
  })
}

function suggestedPort(port: number): number {
  if (port < 1024) return 7100
  return port < 65_535 ? port + 1 : 7100
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // absent on this kernel or hidden from this user: the readers of the text treat it as "does not say"
  }
}
