import type { TopologyAnswer, TopologyEdge } from '../../packages/aggregator/src/topology/answer.ts'
import type { Lab } from '../lab/lab.ts'
import type { PodSpec } from '../lab/spec.ts'

/** An edge of an answer, its ends called by the names of the lab. */
export interface SeenEdge {
  /** Pod, `node/unit`, or an address or name outside. */
  readonly client: string
  readonly server: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  readonly via: string | undefined
  readonly observed: TopologyEdge['observed']
  readonly tcp: TopologyEdge['tcp']
  readonly udp: TopologyEdge['udp']
}

/** Remembers pods that were removed, so that their past edges can be named. */
export class EdgeNames {
  readonly #pods = new Map<string, PodSpec>()

  learn(lab: Lab): void {
    for (const pod of lab.spec.pods) this.#pods.set(pod.containerId.slice(0, 12), pod)
  }

  edges(answer: TopologyAnswer): SeenEdge[] {
    return answer.edges.map(e => ({
      client: this.name(e.source),
      server: this.name(e.target),
      protocol: e.protocol,
      port: e.port,
      via: e.via,
      observed: e.observed,
      tcp: e.tcp,
      udp: e.udp,
    }))
  }

  name(id: string): string {
    const [kind, host, ...rest] = id.split('/')
    if (kind === 'outside') return id.slice('outside/'.length)
    const container = /^container:(.*)$/.exec(rest[0] ?? '')
    const pod = container ? this.#pods.get(container[1]!) : undefined
    // a container must be reported by the collector of its own node, and by no other
    if (pod) return pod.node === host ? pod.name : `${pod.name} seen by node ${host}`
    return [host, ...rest].join('/')
  }
}

export const edgeKey = (e: {
  client: string
  server: string
  protocol?: string
  port: number
  via?: string | undefined
}) => `${e.client} → ${e.server} ${e.protocol ?? 'tcp'}/${e.port}${e.via ? ` via ${e.via}` : ''}`
