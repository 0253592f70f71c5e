/** What is read of a NetworkPolicy. */
export interface Policy {
  readonly metadata: { readonly namespace: string; readonly name: string }
  readonly spec: {
    readonly podSelector: Selector
    readonly policyTypes: readonly string[]
    readonly ingress?: readonly Rule[]
    readonly egress?: readonly Rule[]
  }
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: unknown
}

interface Peer {
  readonly podSelector?: Selector
  readonly namespaceSelector?: Selector
  readonly ipBlock?: unknown
}

interface Port {
  readonly port: number | string
  readonly protocol: string
  readonly endPort?: number
}

interface Rule {
  readonly from?: readonly Peer[]
  readonly to?: readonly Peer[]
  readonly ports?: readonly Port[]
}

export interface LabelledPod {
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly spec: { readonly hostNetwork?: boolean }
  readonly status: { readonly podIP?: string; readonly phase: string }
}

export interface LabelledNamespace {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
}

export interface ClusterState {
  readonly policies: readonly Policy[]
  readonly pods: readonly LabelledPod[]
  readonly namespaces: readonly LabelledNamespace[]
}

/** The table of a node that holds what passes through it to the policies. */
export const policyTable = 'skykube-policy'

const directions = [
  { type: 'Ingress', rules: 'ingress', peers: 'from', own: 'daddr', other: 'saddr' },
  { type: 'Egress', rules: 'egress', peers: 'to', own: 'saddr', other: 'daddr' },
] as const
type Direction = (typeof directions)[number]

/**
 * Rules of nftables for the pods as they are now: what goes to or comes from a pod that a policy selects passes only
 * where one allows it. Connections that are there go on. What a node's own processes send, as a kubelet's probes, does
 * not pass through. Throws at what it does not know, so that nothing is held to less than it says.
 */
export function policyRules({ policies, pods, namespaces }: ClusterState): string {
  const live = pods.filter(
    pod => !pod.spec.hostNetwork && pod.status.podIP !== undefined && pod.status.phase === 'Running',
  )
  const labelsOf = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]))
  const chains: string[] = []
  const jumps: string[] = []
  for (const direction of directions)
    for (const pod of live) {
      const selecting = policies.filter(
        ({ metadata, spec }) =>
          metadata.namespace === pod.metadata.namespace &&
          spec.policyTypes.includes(direction.type) &&
          selects(spec.podSelector, pod.metadata.labels ?? {}),
      )
      if (selecting.length === 0) continue
      const address = pod.status.podIP!
      const chain = `${direction.rules}-${address.replaceAll('.', '-')}`
      const allowed = selecting.flatMap(policy =>
        (policy.spec[direction.rules] ?? []).flatMap(rule => {
          const peers = rule[direction.peers]
          const addresses = peers?.flatMap(peer =>
            addressesOf(peer, policy.metadata.namespace, live, labelsOf),
          )
          return ruleLines(direction, addresses, rule.ports)
        }),
      )
      chains.push(`chain ${chain} {\n${[...new Set(allowed), 'counter drop'].join('\n')}\n}`)
      jumps.push(`ip ${direction.own} ${address} jump ${chain}`)
    }
  const forward = [
    'type filter hook forward priority filter; policy accept;',
    'ct state established,related accept',
  ]
  const body = [...chains, `chain forward {\n${[...forward, ...jumps].join('\n')}\n}`].join('\n')
  return `table ip ${policyTable}\ndelete table ip ${policyTable}\ntable ip ${policyTable} {\n${body}\n}\n`
}

function selects({ matchLabels = {}, ...rest }: Selector, labels: Readonly<Record<string, string>>): boolean {
  if (Object.keys(rest).length > 0) throw new Error(`a selector with ${Object.keys(rest)} is not known here`)
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value)
}

function addressesOf(
  { podSelector, namespaceSelector, ...rest }: Peer,
  own: string,
  pods: readonly LabelledPod[],
  labelsOf: ReadonlyMap<string, Readonly<Record<string, string>>>,
): readonly string[] {
  if (Object.keys(rest).length > 0) throw new Error(`a peer with ${Object.keys(rest)} is not known here`)
  const isThere = (namespace: string) =>
    namespaceSelector === undefined
      ? namespace === own
      : selects(namespaceSelector, labelsOf.get(namespace) ?? {})
  return pods
    .filter(
      ({ metadata }) => isThere(metadata.namespace) && selects(podSelector ?? {}, metadata.labels ?? {}),
    )
    .map(pod => pod.status.podIP!)
}

/** Lines that let through what a rule allows: from or to anybody without addresses, at any port without ports. */
function ruleLines(
  { other }: Direction,
  addresses: readonly string[] | undefined,
  ports: readonly Port[] = [],
): readonly string[] {
  if (addresses?.length === 0) return []
  const who = addresses === undefined ? '' : `ip ${other} { ${addresses.join(', ')} } `
  if (ports.length === 0) return [`${who}return`]
  return ports.map(({ port, protocol, ...rest }) => {
    if (typeof port !== 'number' || Object.keys(rest).length > 0)
      throw new Error(`port ${JSON.stringify({ port, ...rest })} is not known here`)
    return `${who}${protocol.toLowerCase()} dport ${port} return`
  })
}
