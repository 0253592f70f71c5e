/** One node to observe: a name and the cgroup2 directory whose subtree is its own. */
export interface NodeSpec {
  readonly name: string
  readonly cgroupPath: string
}

const nodeName = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/

/** A name of a node as Kubernetes allows it, which fits into a subject of the bus once its dots are replaced. */
export function isNodeName(text: string): boolean {
  return /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(text)
}

/**
 * Parses `NAME=CGROUPDIR` of --node. Returns a sentence instead if it is malformed. Names are those Kubernetes allows,
 * so that they fit into a subject of the bus.
 */
export function parseNodeSpec(text: string): NodeSpec | string {
  const at = text.indexOf('=')
  if (at < 0) return `--node ${text}: expected NAME=CGROUPDIR`
  const name = text.slice(0, at)
  const cgroupPath = text.slice(at + 1)
  if (!nodeName.test(name))
    return `--node ${text}: the name may hold letters, digits, '.', '_' and '-', at most 63`
  if (!cgroupPath.startsWith('/')) return `--node ${text}: the cgroup directory must be an absolute path`
  return { name, cgroupPath }
}

/** A sentence if two nodes share a name or one lies inside another, which would count its traffic twice. */
export function nodeConflict(nodes: readonly NodeSpec[]): string | undefined {
  for (const [i, a] of nodes.entries()) {
    for (const b of nodes.slice(i + 1)) {
      if (a.name === b.name) return `--node ${a.name} is given twice`
      if (within(a.cgroupPath, b.cgroupPath) || within(b.cgroupPath, a.cgroupPath)) {
        return `--node ${a.name} and ${b.name} overlap: ${a.cgroupPath} and ${b.cgroupPath}`
      }
    }
  }
  return undefined
}

function within(path: string, folder: string): boolean {
  const clean = (p: string) => p.replace(/\/+$/, '') + '/'
  return clean(path).startsWith(clean(folder))
}
