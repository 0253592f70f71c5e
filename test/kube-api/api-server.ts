import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type KubeTransport, kubeTransport } from '../../packages/aggregator/src/kube/kube-transport.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../nats/free-port.ts'
import { removeFolder, scratchFolder } from '../nats/scratch-folder.ts'

const programsScript = fileURLToPath(new URL('../../scripts/kube-programs.sh', import.meta.url))
const pkiScript = fileURLToPath(new URL('../kube/cluster/pki.sh', import.meta.url))
const etcdPaths = ['/usr/bin/etcd', '/usr/local/bin/etcd']
const serviceRange = '10.96.0.0/16'
const ready = { timeoutMs: 120_000, everyMs: 100 }
const live = new Set<ApiServer>()

process.on('exit', () => {
  for (const server of live) server.kill()
})

/** Why there can be no API server on this machine; empty if there can. Nothing is built for it. */
export function whyNoApiServer(): string {
  if (!etcdPaths.some(existsSync)) return 'etcd is not installed'
  const built = spawnSync('bash', [programsScript, '--built', 'kubernetes'], { encoding: 'utf8' })
  return built.status === 0 ? '' : built.stderr.trim()
}

export interface ApiAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind
  readonly body: any
}

/**
 * The real kube-apiserver over the real etcd, on loopback with ports and a folder of its own: objects, tokens, reviews
 * and rights are those of Kubernetes; there are no controllers, schedulers or nodes, and whoever tests plays those.
 * Neither process outlives the one that started it.
 */
export class ApiServer {
  readonly folder = scratchFolder()
  readonly #port: number
  readonly #etcdPort: number
  readonly #peerPort: number
  readonly #pki = join(this.folder, 'pki')
  #etcd: ChildProcess | undefined
  #api: ChildProcess | undefined
  #agent: Agent | undefined

  private constructor(ports: readonly [number, number, number]) {
    ;[this.#port, this.#etcdPort, this.#peerPort] = ports
  }

  static async start(): Promise<ApiServer> {
    const server = new ApiServer([await freePort(), await freePort(), await freePort()])
    live.add(server)
    try {
      execFileSync('bash', [pkiScript, server.#pki, '127.0.0.1', '10.96.0.1'], { stdio: 'pipe' })
      await server.restart()
      return server
    } catch (error) {
      const log = server.#logTail()
      await server.close()
      throw new Error(`the API server does not start: ${String(error)}\n${log}`)
    }
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`
  }

  /** A kubeconfig of the administrator, or of the bearer of a token. */
  kubeconfig(token?: string): string {
    const path = join(
      this.folder,
      token === undefined ? 'admin.kubeconfig' : `${token.slice(-12)}.kubeconfig`,
    )
    const user =
      token === undefined
        ? `client-certificate: ${this.#pki}/admin.crt, client-key: ${this.#pki}/admin.key`
        : `token: ${token}`
    writeFileSync(
      path,
      `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "${this.url}", certificate-authority: ${this.#pki}/ca.crt}}]
users: [{name: u, user: {${user}}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`,
      { mode: 0o600 },
    )
    return path
  }

  transport(token?: string): KubeTransport {
    return kubeTransport('kubeconfig', this.kubeconfig(token))!
  }

  /** Asks as the administrator. */
  async ask(method: string, path: string, body?: unknown, type = 'application/json'): Promise<ApiAnswer> {
    this.#agent ??= new Agent({
      keepAlive: true,
      maxSockets: 32,
      ca: readFileSync(join(this.#pki, 'ca.crt')),
      cert: readFileSync(join(this.#pki, 'admin.crt')),
      key: readFileSync(join(this.#pki, 'admin.key')),
    })
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>()
    const headers = { 'content-type': type, accept: 'application/json' }
    const sent = request(new URL(path, this.url), { method, agent: this.#agent, headers }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        const isJson = response.headers['content-type']?.startsWith('application/json')
        resolve({ status: response.statusCode!, body: isJson ? JSON.parse(text) : text })
      })
    })
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
    return promise
  }

  /** The object that was made or changed; throws if the server refused. */
  async must(method: string, path: string, body?: unknown, type?: string): Promise<ApiAnswer['body']> {
    const answer = await this.ask(method, path, body, type)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body?.message}`)
    return answer.body
  }

  /** Starts whatever does not run: etcd keeps what it had. */
  async restart(): Promise<void> {
    this.#agent?.destroy()
    this.#agent = undefined
    if (!isRunning(this.#etcd))
      this.#etcd = this.#launch('etcd', etcdPaths.find(existsSync)!, this.#etcdFlags())
    if (!isRunning(this.#api)) {
      const [, folder] = execFileSync('bash', [programsScript, '--built', 'kubernetes'], { encoding: 'utf8' })
        .trim()
        .split(' ')
      this.#api = this.#launch('api', join(folder!, 'kube-apiserver'), this.#apiFlags())
    }
    await until(
      'the API server is ready',
      () => {
        if (!isRunning(this.#etcd) || !isRunning(this.#api)) throw new Error(`it ended:\n${this.#logTail()}`)
        return this.ask('GET', '/readyz').then(
          ({ status }) => status === 200,
          () => false,
        )
      },
      ready,
    )
  }

  /** Ends the API server, and not etcd. */
  async stopApi(): Promise<void> {
    this.#agent?.destroy()
    this.#agent = undefined
    await ended(this.#api)
  }

  kill(): void {
    this.#api?.kill('SIGKILL')
    this.#etcd?.kill('SIGKILL')
  }

  async close(): Promise<void> {
    this.#agent?.destroy()
    await ended(this.#api)
    await ended(this.#etcd)
    live.delete(this)
    removeFolder(this.folder)
  }

  #launch(name: string, program: string, flags: readonly string[]): ChildProcess {
    const log = openSync(join(this.folder, `${name}.log`), 'a')
    // setpriv has the kernel end it with the thread that starts it
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...flags], {
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    child.on('error', () => {}) // seen as a server that does not run
    return child
  }

  #etcdFlags(): string[] {
    return [
      `--data-dir=${this.folder}/etcd`,
      `--listen-client-urls=http://127.0.0.1:${this.#etcdPort}`,
      `--advertise-client-urls=http://127.0.0.1:${this.#etcdPort}`,
      `--listen-peer-urls=http://127.0.0.1:${this.#peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${this.#peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${this.#peerPort}`,
      '--log-level=warn',
    ]
  }

  #apiFlags(): string[] {
    const pki = this.#pki
    return [
      `--etcd-servers=http://127.0.0.1:${this.#etcdPort}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${this.#port}`,
      `--client-ca-file=${pki}/ca.crt`,
      `--tls-cert-file=${pki}/apiserver.crt`,
      `--tls-private-key-file=${pki}/apiserver.key`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${pki}/sa.pub`,
      `--service-account-signing-key-file=${pki}/sa.key`,
      `--service-cluster-ip-range=${serviceRange}`,
      '--endpoint-reconciler-type=none',
      '--authorization-mode=RBAC',
      // nobody makes the default service accounts here
      '--disable-admission-plugins=ServiceAccount',
    ]
  }

  #logTail(): string {
    return ['etcd', 'api']
      .map(name => join(this.folder, `${name}.log`))
      .filter(existsSync)
      .map(path => readFileSync(path, 'utf8').trimEnd().split('\n').slice(-8).join('\n'))
      .join('\n')
  }
}

function isRunning(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.exitCode === null && child.signalCode === null
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || !isRunning(child)) return
  const exit = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await exit
  clearTimeout(timer)
}
