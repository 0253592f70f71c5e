import { fileURLToPath } from 'node:url'
import { inNamespace } from '../lab/namespaces.ts'
import { runCommand } from '../lab/run-command.ts'
import { until } from '../lab/until.ts'
import { Cluster } from './cluster/cluster.ts'
import { controlPlane } from './cluster/names.ts'
import { ensurePrograms } from './cluster/programs.ts'
import { stageImages } from './images/stage-images.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const chart = `${root}helm/skybraid`
const archives = ['collector', 'aggregator', 'nats'].map(name => `${root}.cache/images/${name}.tar`)
const release = ['skybraid', '-n', 'skybraid']

export interface SideFigures {
  readonly opened: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

/** What the tests read of an edge. */
export interface Edge {
  readonly source: string
  readonly target: string
  readonly port: number
  readonly via?: string
  readonly protocol: string
  readonly observed: string
  readonly tcp?: {
    readonly opened: number
    readonly openedClientOnly?: number
    readonly openedServerOnly?: number
    readonly openNow: number
    readonly failed: number
    readonly failures: { readonly refused: number }
    readonly client?: SideFigures
    readonly server?: SideFigures
  }
}

export interface Node {
  readonly id: string
  readonly foundBy: string
}

export interface WatchCounts {
  readonly resource: string
  readonly watching: boolean
}

/** What the tests read of `/status`. */
export interface Status {
  readonly ingest: {
    readonly nodes: readonly {
      readonly node: string
      readonly bootId: string
      readonly reporting: boolean
      readonly uncleanRestart: boolean
      readonly identity: { readonly records: { readonly lost: Readonly<Record<string, number>> } }
    }[]
    readonly identity: { readonly lost: Readonly<Record<string, number>>; readonly holds: boolean }
  }
  readonly kubernetes: {
    readonly synced: boolean
    readonly ageMs: number
    readonly resources: readonly WatchCounts[]
  }
}

/** The chart in a cluster that is up, and what its API says to who has the token. */
export class Installation {
  readonly cluster: Cluster
  #token = ''
  #address = ''

  private constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  /** Starts a new cluster with the images and the namespace; nothing is installed yet. */
  static async prepare(): Promise<Installation> {
    const images = await stageImages(await ensurePrograms())
    const [cluster] = await Promise.all([
      Cluster.up({ images }),
      runCommand(['bash', `${root}scripts/images.sh`]),
    ])
    await cluster.load(archives)
    await cluster.kubectl('create', 'namespace', 'skybraid')
    await cluster.kubectl('label', 'namespace', 'skybraid', 'pod-security.kubernetes.io/enforce=restricted')
    return new Installation(cluster)
  }

  /** `helm COMMAND` on the release; a failure comes with what there is to see. */
  async helm(command: string, ...args: string[]): Promise<string> {
    const chartOf = ['install', 'upgrade'].includes(command) ? [chart] : []
    // another installation has another token, and its pods other addresses
    if (command === 'install') this.#token = this.#address = ''
    try {
      return await this.cluster.helm(command, ...release, ...chartOf, ...args)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await this.diagnosis()}`)
    }
  }

  /** What the API says to who has the token of the chart. */
  async ask<T>(path: string): Promise<T> {
    if (this.#token === '') await this.#readToken()
    const { status, text } = await this.askAs(this.#token, path)
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`)
    return JSON.parse(text) as T
  }

  /**
   * It is asked at the pod's address, which the pod's successor changes. An aggregator that is behind says so and
   * refuses; it is asked again. Status 0: it cannot be reached.
   */
  async askAs(token: string, path: string): Promise<{ status: number; text: string }> {
    if (this.#address === '') await this.#findPod()
    const url = `http://${this.#address}:7100${path}`
    const header = `Authorization: Bearer ${token}`
    const curl = ['curl', '-sS', '--max-time', '20', '-w', '\\n%{http_code}', '-H', header, url]
    const answer = await until(
      `${path} is answered`,
      async () => {
        const result = await runCommand([...inNamespace(controlPlane), ...curl], { allowFailure: true })
        return !result.stdout.includes('/problems#overloaded') && result
      },
      { timeoutMs: 60_000, everyMs: 500 },
    )
    if (answer.code !== 0) this.#address = ''
    const end = answer.stdout.lastIndexOf('\n')
    return { status: Number(answer.stdout.slice(end + 1)), text: answer.stdout.slice(0, end) + answer.stderr }
  }

  async #readToken(): Promise<void> {
    const { data } = await this.cluster.get<{ data: { token: string } }>(
      ...['secret', '-n', 'skybraid', 'skybraid-api-token'],
    )
    this.#token = Buffer.from(data.token, 'base64').toString()
  }

  async #findPod(): Promise<void> {
    const { status } = await this.cluster.get<{ status: { podIP?: string } }>(
      ...['pod', '-n', 'skybraid', 'skybraid-aggregator-0'],
    )
    if (status.podIP === undefined) throw new Error('the aggregator has no address yet')
    this.#address = status.podIP
  }

  /** Edges of the last hour with all their counters, and the nodes of the answer by id. */
  async topology(
    groupBy = 'workload',
  ): Promise<{ edges: readonly Edge[]; nodes: ReadonlyMap<string, Node> }> {
    const path = `/topology?window=60m&include=detail&limit=5000&groupBy=${groupBy}`
    const { edges, nodes } = await this.ask<{ edges: readonly Edge[]; nodes: readonly Node[] }>(path)
    return { edges, nodes: new Map(nodes.map(node => [node.id, node])) }
  }

  status(): Promise<Status> {
    return this.ask('/status')
  }

  /** What there is to see when something does not become true. */
  async diagnosis(): Promise<string> {
    const logs = (space: string, what: string) => ['-n', space, 'logs', what, '--tail=20']
    const asked = [
      ['get', 'pods', '-A', '-o', 'wide'],
      logs('skybraid-collectors', 'daemonset/skybraid-collector'),
      logs('skybraid', 'statefulset/skybraid-aggregator'),
    ]
    const answers = await Promise.all(asked.map(args => this.cluster.tryKubectl(...args)))
    return answers.map(({ stdout, stderr }) => stdout + stderr).join('\n')
  }
}
