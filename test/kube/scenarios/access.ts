import { expect, it } from 'vitest'
import { workload } from '../edge-truth.ts'
import type { Edge, Installation, Node } from '../installation.ts'
import { namespace } from '../pods/peers.ts'

const topology = '/topology?window=60m&include=detail&limit=5000&groupBy=workload'

/** Times and rates depend on when it was asked. */
const figuresOf = ({ port, via, observed, tcp }: Edge) => ({
  port,
  via,
  observed,
  opened: tcp!.opened,
  failed: tcp!.failed,
  sent: tcp!.client?.bytesSent,
  received: tcp!.client?.bytesReceived,
})

/** A service account of the peers' namespace and a token of it; `mayList`: pods of that namespace. */
async function tokenOf({ cluster }: Installation, name: string, mayList: boolean): Promise<string> {
  const own = ['-n', namespace]
  await cluster.kubectl(...own, 'create', 'serviceaccount', name)
  if (mayList) {
    await cluster.kubectl(...own, 'create', 'role', name, '--verb=list', '--resource=pods')
    const account = `--serviceaccount=${namespace}:${name}`
    await cluster.kubectl(...own, 'create', 'rolebinding', name, `--role=${name}`, account)
  }
  return (await cluster.kubectl(...own, 'create', 'token', name)).trim()
}

/** Who may list pods in one namespace sees that one, and who may do so in none sees nothing. */
export function access(installed: () => Installation): void {
  it('shows a service account the namespaces whose pods it may list, and the rest as one', async () => {
    const installation = installed()
    const [viewer, nobody] = await Promise.all([
      tokenOf(installation, 'viewer', true),
      tokenOf(installation, 'nobody', false),
    ])
    const refused = [nobody, 'a-token-that-nobody-has'].map(token => installation.askAs(token, topology))
    expect((await Promise.all(refused)).map(answer => answer.status)).toEqual([403, 401])

    const isOwn = (edge: Edge) => edge.source === workload('client') && edge.target === workload('server')
    const { status, text } = await installation.askAs(viewer, topology)
    expect(status).toBe(200)
    expect(text).not.toMatch(/customers|catalog|kube-system|coredns/)
    const { nodes, edges } = JSON.parse(text) as { nodes: readonly Node[]; edges: readonly Edge[] }
    const strange = nodes
      .map(node => node.id)
      .filter(id => !/^(workload|service)\/proof\/|^outside\//.test(id))
    expect(strange).toEqual(['hidden'])
    const whole = await installation.topology()
    expect(edges.filter(isOwn).map(figuresOf)).toEqual(whole.edges.filter(isOwn).map(figuresOf))
    expect(edges.filter(isOwn)).not.toEqual([])
    expect((await installation.askAs(viewer, '/status')).status).toBe(403)
  })
}
