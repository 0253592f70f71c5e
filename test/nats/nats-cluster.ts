import { until } from '../lab/until.ts'
import { freePort } from './free-port.ts'
import { NatsServer } from './nats-server.ts'

const size = 3
const readyMs = 120_000

interface JetStreamMonitor {
  readonly meta_cluster?: { readonly leader?: string; readonly cluster_size?: number }
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string
      readonly cluster?: {
        readonly leader?: string
        readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[]
      }
    }[]
  }[]
}

/** Three nats-servers as one cluster, in which streams can have three replicas. */
export class NatsCluster {
  readonly servers: readonly NatsServer[]

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers
  }

  /** Starts three servers, with `config` for each; resolves once they agreed on a leader. */
  static async start(config = ''): Promise<NatsCluster> {
    const ports: number[] = []
    while (ports.length < size) {
      const port = await freePort()
      if (!ports.includes(port)) ports.push(port)
    }
    const routes = ports.map(port => `"nats://127.0.0.1:${port}"`).join(', ')
    const started = await Promise.allSettled(
      ports.map((port, index) =>
        NatsServer.start({
          name: `n${index + 1}`,
          config: `cluster { name: test, listen: "127.0.0.1:${port}", routes: [${routes}] }\n${config}`,
        }),
      ),
    )
    const servers = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    const cluster = new NatsCluster(servers)
    try {
      for (const result of started) if (result.status === 'rejected') throw result.reason
      await cluster.ready()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** All three, for a client that takes any. */
  get urls(): string[] {
    return this.servers.map(server => server.url)
  }

  /** Waits until every server that runs knows the same leader of JetStream, and the leader all three servers. */
  async ready(): Promise<void> {
    const running = this.servers.filter(server => server.isRunning)
    await until('the cluster agrees on a leader', () => this.#agrees(running), {
      timeoutMs: readyMs,
      everyMs: 50,
      describe: () => running.map(server => server.logTail(8)).join('\n--\n'),
    })
  }

  /** The server that leads the replicas of a stream. */
  async leaderOf(stream: string): Promise<NatsServer> {
    return until(`the stream ${stream} has a leader`, () => this.#leaderOf(stream), { timeoutMs: readyMs })
  }

  /** Waits until all three replicas of a stream hold the same. */
  async caughtUp(stream: string): Promise<void> {
    await until(
      `the replicas of ${stream} caught up`,
      async () => {
        const leader = await this.#leaderOf(stream)
        const replicas = leader && (await detailOf(leader, stream))?.cluster?.replicas
        return replicas?.length === size - 1 && replicas.every(r => r.current && r.offline !== true)
      },
      { timeoutMs: readyMs, everyMs: 50 },
    )
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map(server => server.stop()))
  }

  async #agrees(running: readonly NatsServer[]): Promise<boolean> {
    const views = await Promise.all(running.map(server => monitor(server, 'jsz')))
    const leaders = new Set(views.map(view => view?.meta_cluster?.leader))
    if (leaders.size !== 1 || leaders.has(undefined) || leaders.has('')) return false
    const health = await Promise.all(running.map(server => server.monitor('healthz').catch(() => undefined)))
    if (!health.every(answer => answer?.status === 'ok')) return false
    return views.every(view => view?.meta_cluster?.cluster_size === size)
  }

  async #leaderOf(stream: string): Promise<NatsServer | undefined> {
    for (const server of this.servers) {
      if (!server.isRunning) continue
      const leader = (await detailOf(server, stream))?.cluster?.leader
      const found = this.servers.find((one, index) => `n${index + 1}` === leader && one.isRunning)
      if (found !== undefined) return found
    }
    return undefined
  }
}

async function detailOf(server: NatsServer, stream: string) {
  const view = await monitor(server, 'jsz?streams=true')
  return view?.account_details
    ?.flatMap(account => account.stream_detail ?? [])
    .find(detail => detail.name === stream)
}

function monitor(server: NatsServer, path: string): Promise<JetStreamMonitor | undefined> {
  return server.monitor<JetStreamMonitor>(path).catch(() => undefined)
}
