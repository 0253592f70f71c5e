/** Everything that the cluster leaves on the machine while it is up bears one of these names. */
export const stateDirectory = '/var/lib/skybraid-kube'
export const controlPlane = 'skykube-cp'

export interface NodeName {
  readonly name: string
  readonly address: string
  readonly podRange: string
}

/** Two nodes: node names are also those of their network namespaces and of their cgroups. */
export const nodes: readonly NodeName[] = [1, 2].map(number => ({
  name: `skykube-${number}`,
  address: `10.88.0.1${number}`,
  podRange: `10.242.${number}.0/24`,
}))

export const controlPlaneAddress = '10.88.0.1'
export const podRange = '10.242.0.0/16'
export const serviceRange = '10.94.0.0/16'
export const apiServiceAddress = '10.94.0.1'
export const dnsServiceAddress = '10.94.0.10'

/** The registry that does not exist: images come by import, and nothing is ever pulled. */
export const registry = 'skybraid.test'

export const nodeDirectory = (node: NodeName) => `${stateDirectory}/${node.name}`
/** Manifests in it are run by the node's kubelet without the API server. */
export const staticPodDirectory = (node: NodeName) => `${nodeDirectory(node)}/static-pods`
export const controlPlaneDirectory = `${stateDirectory}/control-plane`
export const pkiDirectory = `${stateDirectory}/pki`
export const adminKubeconfig = `${pkiDirectory}/admin.kubeconfig`
export const netnsPath = (name: string) => `/run/netns/${name}`

export function nodeNamed(name: string): NodeName {
  const node = nodes.find(n => n.name === name)
  if (!node) throw new Error(`no node "${name}": ${nodes.map(n => n.name).join(' or ')}`)
  return node
}
