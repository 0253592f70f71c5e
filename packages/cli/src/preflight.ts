import type { PortAnswer, SystemFacts } from './system-facts.ts'

/** What keeps the program from starting: one sentence with what failed, what still works and what to do. */
export interface Problem {
  readonly code: ProblemCode
  readonly sentence: string
}

export type ProblemCode =
  | 'kernel_too_old'
  | 'missing_capabilities'
  | 'no_btf'
  | 'no_cgroup2'
  | 'not_a_cgroup'
  | 'lockdown'
  | 'port_taken'
  | 'address_not_here'
  | 'port_refused'

/** Oldest kernel that has every hook the capture cannot do without. */
export const oldestKernel = [5, 15] as const

const neededCapabilities = [
  { name: 'CAP_BPF', bit: 39n },
  { name: 'CAP_PERFMON', bit: 38n },
  { name: 'CAP_NET_ADMIN', bit: 12n },
] as const
const sysAdmin = 1n << 21n
const withoutCapture = '--help, --version and --print-config still work'

/** What listens, and with which option its address is chosen. */
export interface Listener {
  readonly flag: string
  readonly who: string
}

/** What of the machine is to be used. */
export interface Wanted {
  /** Without them nothing needs CAP_NET_ADMIN. */
  readonly packetHooks: boolean
}

const api: Listener = { flag: '--listen', who: 'the API' }

/**
 * Judges a machine before anything is loaded. Returns every problem found, the most basic first; an empty list means
 * that capture should work. Pure: the facts are read by `readSystemFacts`.
 */
export function findProblems(
  facts: SystemFacts,
  listener: Listener = api,
  { packetHooks }: Wanted = { packetHooks: true },
): Problem[] {
  const found = [
    kernelProblem(facts),
    capabilityProblem(facts, packetHooks),
    btfProblem(facts),
    lockdownProblem(facts),
    ...cgroupProblems(facts),
    portProblem(facts.listen, listener),
  ]
  return found.filter(problem => problem !== undefined)
}

function kernelProblem({ kernelRelease }: SystemFacts): Problem | undefined {
  const [major = 0, minor = 0] = kernelRelease.split('.').map(part => Number.parseInt(part, 10))
  const [oldestMajor, oldestMinor] = oldestKernel
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined
  return {
    code: 'kernel_too_old',
    sentence:
      `Linux ${kernelRelease} is too old: following sockets needs ${oldestMajor}.${oldestMinor} or later; ` +
      `${withoutCapture}; start it on a newer kernel.`,
  }
}

function capabilityProblem(
  { uid, effectiveCapabilities }: SystemFacts,
  packetHooks: boolean,
): Problem | undefined {
  const missing = neededCapabilities.filter(({ name, bit }) => {
    if (effectiveCapabilities & (1n << bit)) return false
    return name === 'CAP_NET_ADMIN' ? packetHooks : !(effectiveCapabilities & sysAdmin)
  })
  if (missing.length === 0) return undefined
  const names = missing.map(({ name }) => name).join(', ')
  const who = uid === 0 ? 'root here has been denied' : `user ${uid} is not root and lacks`
  const remedy =
    uid === 0
      ? 'allow them in the container or service that runs it (privileged, or these capabilities added).'
      : 'run it as root, for example: sudo npm start.'
  return {
    code: 'missing_capabilities',
    sentence: `Reading the kernel's sockets is not permitted: ${who} ${names}; ${withoutCapture}; ${remedy}`,
  }
}

function btfProblem({ btf }: SystemFacts): Problem | undefined {
  if (btf) return undefined
  return {
    code: 'no_btf',
    sentence:
      'This kernel has no type information (/sys/kernel/btf/vmlinux is missing), so its sockets cannot be read; ' +
      `${withoutCapture}; use a kernel built with CONFIG_DEBUG_INFO_BTF, as Debian 11, Ubuntu 20.10, Fedora 31 and ` +
      'later have, or mount the host’s /sys if this is a container.',
  }
}

function lockdownProblem({ lockdown }: SystemFacts): Problem | undefined {
  if (lockdown !== 'confidentiality') return undefined
  return {
    code: 'lockdown',
    sentence:
      'The kernel is locked down (confidentiality), which forbids every program, root’s too, to read its memory; ' +
      `${withoutCapture}; boot with lockdown=integrity or without lockdown.`,
  }
}

function cgroupProblems({ cgroup2Root, cgroups }: SystemFacts): Problem[] {
  const wrong = cgroups
    .filter(({ isCgroup2 }) => !isCgroup2)
    .map(({ node, path }) => ({
      code: 'not_a_cgroup' as const,
      sentence:
        `Node ${node} cannot be observed: ${path} is not a cgroup2 directory; other nodes given with --node would ` +
        'work; name a directory below the cgroup2 mount' +
        (cgroup2Root === undefined ? '.' : `, ${cgroup2Root}.`),
    }))
  if (cgroups.length > 0 || cgroup2Root !== undefined) return wrong
  return [
    {
      code: 'no_cgroup2',
      sentence:
        'No cgroup2 file system is mounted, and sockets are told apart by it; ' +
        `${withoutCapture}; mount one (mount -t cgroup2 none /sys/fs/cgroup/unified; hosts with cgroup v1 alone are ` +
        'not supported).',
    },
  ]
}

function portProblem(
  { address, answer, suggestion }: SystemFacts['listen'],
  { flag, who }: Listener,
): Problem | undefined {
  if (answer === 'free') return undefined
  const sentences: Record<Exclude<PortAnswer, 'free'>, { code: ProblemCode; sentence: string }> = {
    taken: {
      code: 'port_taken',
      sentence:
        `Another program listens on ${address}, so ${who} cannot; capture itself would work; ` +
        `choose another address, for example ${flag} ${suggestion}.`,
    },
    not_here: {
      code: 'address_not_here',
      sentence:
        `${address} is not an address of this machine, so ${who} cannot listen on it; capture itself would work; ` +
        `choose another, for example ${flag} 127.0.0.1:7100.`,
    },
    refused: {
      code: 'port_refused',
      sentence:
        `The system does not let this user listen on ${address}; capture itself would work; ` +
        `choose a port above 1023, for example ${flag} ${suggestion}.`,
    },
  }
  return sentences[answer]
}
