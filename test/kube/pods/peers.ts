import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { inNamespace } from '../../lab/namespaces.ts'
import { runCommand } from '../../lab/run-command.ts'
import { until } from '../../lab/until.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { controlPlane, controlPlaneAddress } from '../cluster/names.ts'

const file = fileURLToPath(new URL('./peer.mjs', import.meta.url))
const source = readFileSync(file, 'utf8')

export const namespace = 'proof'

/** What a program counted of the connections that it dialled. */
export interface Dialled {
  readonly dialled: number
  readonly opened: number
  /** Unix milliseconds; absent as long as none was opened. */
  readonly firstOpenedMs?: number
  /** By error code. */
  readonly failed: Readonly<Record<string, number>>
  /** Opened, and then broken before the answer. */
  readonly unanswered: number
  readonly sent: number
  readonly received: number
  /** By host name of who answered: that of its pod. */
  readonly answeredBy: Readonly<Record<string, number>>
}

export interface Target {
  readonly host: string
  readonly port: number
  readonly bytes?: number
}

interface Totals {
  /** By port and remote address. */
  readonly accepted: Readonly<
    Record<string, Readonly<Record<string, { accepted: number; received: number; sent: number }>>>
  >
  readonly started: Readonly<Record<string, Dialled>>
}

/** A running peer, told what to do from outside the cluster. */
export interface Peer {
  readonly address: string
  run(target: Target & { readonly count: number }): Promise<Dialled>
  start(target: Target & { readonly name: string; readonly every: number }): Promise<void>
  /** What came so far of what was started. */
  started(name: string): Promise<Dialled>
  stop(name: string): Promise<Dialled>
  accepted(): Promise<Totals['accepted']>
}

export function peerAt(address: string, control = 9900): Peer {
  const ask = async <T>(path: string, body?: object): Promise<T> => {
    const data = body === undefined ? [] : ['--data-binary', JSON.stringify(body)]
    const curl = ['curl', '-sS', '--max-time', '60', ...data, `http://${address}:${control}${path}`]
    return JSON.parse((await runCommand([...inNamespace(controlPlane), ...curl])).stdout) as T
  }
  return {
    address,
    run: target => ask('/run', target),
    start: target => ask('/start', target),
    started: async name => (await ask<Totals>('/totals')).started[name]!,
    stop: name => ask('/stop', { name }),
    accepted: async () => (await ask<Totals>('/totals')).accepted,
  }
}

/** What two runs had in common; who answered is left to the first. */
export function plus(a: Dialled, b: Dialled): Dialled {
  return { ...a, opened: a.opened + b.opened, sent: a.sent + b.sent, received: a.received + b.received }
}

/** Dials once the target can be reached: the proxy of a node, and DNS, learn of a service a moment after it is made. */
export async function dialAll(peer: Peer, target: Target & { readonly count: number }): Promise<Dialled> {
  const first = await until(
    `${target.host}:${target.port} can be reached`,
    async () => {
      const one = await peer.run({ ...target, count: 1 })
      return one.opened === 1 && one
    },
    { timeoutMs: 60_000, everyMs: 500 },
  )
  return plus(first, await peer.run({ ...target, count: target.count - 1 }))
}

/** A peer on a machine that is no node: in the network of the control plane. */
export async function outsidePeer(): Promise<Peer & { end(): Promise<void> }> {
  const argv = [...inNamespace(controlPlane), process.execPath, file, '{"control":9900}']
  const child = spawn(argv[0]!, argv.slice(1), { stdio: 'ignore' })
  const closed = new Promise(resolve => child.once('close', resolve))
  const peer = peerAt(controlPlaneAddress)
  await until('the peer outside answers', () => answers(peer))
  return {
    ...peer,
    async end() {
      child.kill('SIGKILL')
      await closed
    },
  }
}

async function answers(peer: Peer): Promise<boolean> {
  return peer.accepted().then(
    () => true,
    () => false,
  )
}

export interface PeerPod {
  readonly name: string
  /** Any, if not given. */
  readonly node?: string
  readonly listen?: readonly number[]
  readonly control?: number
  readonly hostNetwork?: boolean
  /** What it dials as soon as it runs. */
  readonly dial?: Target & { readonly count: number }
}

/** What a pod of a peer is made of. */
export function peerPodSpec({
  node,
  listen = [],
  control = 9900,
  hostNetwork = false,
  dial,
}: Omit<PeerPod, 'name'>) {
  return {
    ...(node !== undefined && { nodeName: node }),
    hostNetwork,
    ...(hostNetwork && { dnsPolicy: 'ClusterFirstWithHostNet' }),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 10,
    containers: [
      {
        name: 'peer',
        image: 'skybraid.local/aggregator:0.1.0',
        imagePullPolicy: 'Never',
        command: [
          'node',
          '--input-type=module',
          '-e',
          source,
          'peer',
          JSON.stringify({ control, listen, dial }),
        ],
      },
    ],
  }
}

export const podOf = (pod: PeerPod) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: pod.name, namespace, labels: { app: pod.name } },
  spec: peerPodSpec(pod),
})

export const deploymentOf = (pod: PeerPod) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: pod.name, namespace },
  spec: {
    selector: { matchLabels: { app: pod.name } },
    template: { metadata: { labels: { app: pod.name } }, spec: peerPodSpec(pod) },
  },
})

export const serviceOf = (name: string, app: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { selector: { app }, ...spec },
})

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
    readonly status: { readonly podIP?: string }
  }[]
}

/** The peer in the only pod with this label, once it answers. */
export async function peerOf(cluster: Cluster, app: string, control = 9900): Promise<Peer> {
  return until(
    `${app} answers`,
    async () => {
      const { items } = await cluster.get<Pods>('pods', '-n', namespace, '-l', `app=${app}`)
      const [pod] = items.filter(item => item.metadata.deletionTimestamp === undefined)
      const address = pod?.status.podIP
      if (address === undefined) return false
      const peer = peerAt(address, control)
      return (await answers(peer)) && peer
    },
    { timeoutMs: 60_000, everyMs: 200 },
  )
}
