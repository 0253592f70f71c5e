import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { until } from '../lab/until.ts'
import { freePort } from '../nats/free-port.ts'
import { NatsServer } from '../nats/nats-server.ts'

const launcher = fileURLToPath(new URL('../../scripts/skybraid.sh', import.meta.url))

/** The built aggregator and collectors as they are installed: processes of their own around a nats-server. */
export interface BusProduct {
  readonly server: NatsServer
  readonly aggregatorPid: number
  get<T>(path: string): Promise<T>
  /** Bytes of all messages that a node's collector has sent to the server, headers included. */
  bytesLeft(node: string): Promise<number>
  /** Ends all of them as an operator does; throws if one does not end well. */
  stop(): Promise<void>
}

interface Started {
  readonly child: ChildProcess
  readonly what: string
  output(): string
}

interface Connections {
  readonly connections: readonly { readonly name?: string; readonly in_bytes: number }[]
}

/** Starts a server, an aggregator with `flags`, and a collector for each node, of which each is given its cgroup. */
export async function startBusProduct(
  nodes: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): Promise<BusProduct> {
  const server = await NatsServer.start()
  const url = `http://127.0.0.1:${await freePort()}`
  const nats = ['--nats', server.url]
  const started: Started[] = []
  try {
    const listen = ['--listen', url.slice('http://'.length), '--request-rate', '0']
    const aggregator = launch('aggregator', [...nats, ...listen, ...flags])
    started.push(aggregator)
    await answers(`${url}/readyz`, aggregator)
    for (const [node, cgroup] of Object.entries(nodes)) {
      const status = `127.0.0.1:${await freePort()}`
      const own = [...nats, '--node', node, '--cgroup', cgroup, '--status-listen', status]
      const collector = launch('collector', own)
      started.push(collector)
      await answers(`http://${status}/readyz`, collector)
    }
    return {
      server,
      aggregatorPid: aggregator.child.pid!,
      get: async <T>(path: string) => (await fetch(url + path)).json() as Promise<T>,
      bytesLeft: node => bytesLeft(server, node),
      stop: () => stop(server, started),
    }
  } catch (error) {
    for (const { child } of started) child.kill('SIGKILL')
    await server.stop()
    throw error
  }
}

function launch(what: string, args: readonly string[]): Started {
  const child = spawn('bash', [launcher, what, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  const take = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-8_192)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return { child, what, output: () => text }
}

async function answers(url: string, { child, what, output }: Started): Promise<void> {
  const isReady = async () => {
    if (child.exitCode !== null) throw new Error(`the ${what} ended: ${output()}`)
    return fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
  }
  await until(`the ${what} is ready`, isReady, { timeoutMs: 120_000, everyMs: 50, describe: output })
}

async function bytesLeft(server: NatsServer, node: string): Promise<number> {
  const { connections } = await server.monitor<Connections>('connz?limit=1000')
  const own = connections.filter(({ name }) => name?.endsWith(` ${node}`))
  if (own.length !== 1) throw new Error(`${own.length} connections are of ${node}`)
  return own[0]!.in_bytes
}

async function stop(server: NatsServer, started: readonly Started[]): Promise<void> {
  try {
    for (const { child, what, output } of [...started].reverse()) {
      const ended = new Promise<number | null>(resolve => child.once('close', resolve))
      child.kill('SIGTERM')
      const code = child.exitCode ?? (await ended)
      if (code !== 0) throw new Error(`the ${what} ended with ${code}: ${output()}`)
    }
  } finally {
    for (const { child } of started) child.kill('SIGKILL')
    await server.stop()
  }
}
