import { existsSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { inNamespace } from '../../lab/namespaces.ts'
import { type CommandResult, runCommand } from '../../lab/run-command.ts'
import { until } from '../../lab/until.ts'
import { type ControlPlaneServer, logOf, pidFileOf, startControlPlaneServer } from './control-plane.ts'
import { dnsManifest } from './dns.ts'
import { readHierarchies, removeEverywhere } from './hierarchies.ts'
import { restoreMachine, saveMachine } from './machine.ts'
import {
  adminKubeconfig,
  apiServiceAddress,
  controlPlane,
  controlPlaneAddress,
  controlPlaneDirectory,
  type NodeName,
  nodeDirectory,
  nodes,
  pkiDirectory,
  stateDirectory,
} from './names.ts'
import { importImages, isNodeUp, onNode, startNode } from './node.ts'
import { isAlive, pidIn } from './process-of.ts'
import { ensurePrograms, type Programs } from './programs.ts'
import { buildUnderlay, removeUnderlay } from './underlay.ts'

const pkiScript = fileURLToPath(new URL('./pki.sh', import.meta.url))
const ready = { timeoutMs: 180_000, everyMs: 100 }

export interface UpOptions {
  /** Archives that the cluster itself needs: pause and CoreDNS. */
  readonly images: readonly string[]
  /** Where to tell how far it is. */
  readonly tell?: (line: string) => void
}

/**
 * A real Kubernetes of two nodes on this machine: etcd, API server, controllers, scheduler, and per node containerd,
 * kubelet and proxy, each node with network, mounts and cgroups of its own. There is one per machine; its names are
 * fixed, so `down` finds all of it whoever started it.
 */
export class Cluster {
  readonly programs: Programs

  private constructor(programs: Programs) {
    this.programs = programs
  }

  /** Starts what does not run yet, and waits until pods can be made and names resolved. */
  static async up(options: UpOptions): Promise<Cluster> {
    const cluster = new Cluster(await ensurePrograms())
    try {
      await cluster.#start(options)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await cluster.diagnosis()}`)
    }
    return cluster
  }

  /** The cluster that is already up. */
  static async attach(): Promise<Cluster> {
    if (!existsSync(adminKubeconfig)) throw new Error('the cluster is not up: npm run kube -- up')
    return new Cluster(await ensurePrograms())
  }

  /** Ends every process of the cluster and removes all that it left. May be called again, also after a crash. */
  static async down(): Promise<void> {
    const hierarchies = await readHierarchies()
    for (const { name } of nodes) await removeEverywhere(hierarchies, name)
    await removeEverywhere(hierarchies, controlPlane)
    await removeUnderlay()
    await restoreMachine()
    await until(
      `${stateDirectory} is removed`,
      () =>
        // a mount may outlive the last process of its namespace by a moment
        rm(stateDirectory, { recursive: true, force: true }).then(
          () => true,
          () => false,
        ),
      { timeoutMs: 60_000, everyMs: 100 },
    )
  }

  async #start({ images, tell = () => {} }: UpOptions): Promise<void> {
    const begun = performance.now()
    const reached = (what: string) => tell(`${((performance.now() - begun) / 1000).toFixed(1)} s  ${what}`)
    await mkdir(stateDirectory, { recursive: true })
    await saveMachine()
    await buildUnderlay()
    await runCommand([
      'bash',
      pkiScript,
      pkiDirectory,
      controlPlaneAddress,
      apiServiceAddress,
      ...nodes.map(n => n.name),
    ])
    await mkdir(controlPlaneDirectory, { recursive: true })
    await startControlPlaneServer(this.programs, 'etcd')
    await startControlPlaneServer(this.programs, 'kube-apiserver')
    for (const node of nodes) await startNode(node, this.programs)
    await this.apiReady()
    reached('API server ready')
    await startControlPlaneServer(this.programs, 'kube-controller-manager')
    await startControlPlaneServer(this.programs, 'kube-scheduler')
    await this.load(images)
    await this.#nodesReady()
    reached('nodes ready')
    await until('the default service account exists', () => this.#succeeds('get', 'sa', 'default'), ready)
    await this.apply(dnsManifest)
    await this.kubectl('-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=180s')
    reached('names resolve')
  }

  async #nodesReady(): Promise<void> {
    for (const { name, podRange } of nodes) {
      await until(`${name} is registered`, () => this.#succeeds('get', 'node', name), ready)
      const patch = JSON.stringify({ spec: { podCIDR: podRange, podCIDRs: [podRange] } })
      await this.kubectl('patch', 'node', name, '-p', patch)
    }
    await this.kubectl('wait', '--for=condition=Ready', 'node', '--all', '--timeout=180s')
  }

  async #succeeds(...args: string[]): Promise<boolean> {
    return (await this.tryKubectl(...args)).code === 0
  }

  // ---- what the cluster is asked

  /** Argument list that runs a program where the API server can be reached, as the administrator. */
  command(program: 'kubectl' | 'helm' | string, ...args: string[]): string[] {
    const path =
      program === 'kubectl'
        ? `${this.programs.kubernetes}/kubectl`
        : program === 'helm'
          ? `${this.programs.helm}/helm`
          : program
    return [...inNamespace(controlPlane), path, ...args]
  }

  /** What such a program finds in its environment; caches and settings stay in the cluster's own folder. */
  get env(): Record<string, string> {
    return {
      KUBECONFIG: adminKubeconfig,
      KUBECACHEDIR: `${stateDirectory}/kubectl-cache`,
      HELM_CACHE_HOME: `${stateDirectory}/helm/cache`,
      HELM_CONFIG_HOME: `${stateDirectory}/helm/config`,
      HELM_DATA_HOME: `${stateDirectory}/helm/data`,
      PATH: `${this.programs.kubernetes}:${this.programs.helm}:${process.env.PATH}`,
    }
  }

  /** Runs kubectl and returns what it says; rejects when it fails. */
  async kubectl(...args: string[]): Promise<string> {
    return (await runCommand(this.command('kubectl', ...args), { env: this.env })).stdout
  }

  tryKubectl(...args: string[]): Promise<CommandResult> {
    return runCommand(this.command('kubectl', '--request-timeout=10s', ...args), {
      env: this.env,
      allowFailure: true,
    })
  }

  async get<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.kubectl('get', ...args, '-o', 'json')) as T
  }

  async helm(...args: string[]): Promise<string> {
    return (await runCommand(this.command('helm', ...args), { env: this.env })).stdout
  }

  /** Applies manifests: YAML text, or objects. */
  async apply(manifests: string | readonly object[]): Promise<void> {
    const input =
      typeof manifests === 'string'
        ? manifests
        : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests })
    await runCommand(this.command('kubectl', 'apply', '-f', '-'), { env: this.env, input })
  }

  /** Imports archives of images into every node. */
  async load(archives: readonly string[]): Promise<void> {
    await Promise.all(nodes.map(node => importImages(node, this.programs, archives)))
  }

  /** Runs a program on a node: its network, its mounts, as root of the machine. */
  async onNode(node: NodeName, argv: readonly string[]): Promise<CommandResult> {
    return runCommand([...(await onNode(node)), ...argv])
  }

  // ---- what happens to it

  async stopApiServer(): Promise<void> {
    const pid = await pidIn(pidFileOf('kube-apiserver'))
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
    await until('the API server is gone', () => !isAlive(pid))
  }

  async startApiServer(): Promise<void> {
    await startControlPlaneServer(this.programs, 'kube-apiserver')
    await this.apiReady()
  }

  async apiReady(): Promise<void> {
    await until('the API server is ready', () => this.#succeeds('get', '--raw', '/readyz'), ready)
  }

  // ---- what it is like

  async status() {
    const servers: ControlPlaneServer[] = [
      'etcd',
      'kube-apiserver',
      'kube-controller-manager',
      'kube-scheduler',
    ]
    return {
      up: true,
      controlPlane: await Promise.all(
        servers.map(async name => ({
          name,
          running: isAlive(await pidIn(pidFileOf(name))),
          log: logOf(name),
        })),
      ),
      nodes: await Promise.all(
        nodes.map(async node => ({
          ...node,
          running: await isNodeUp(node),
          ready: (
            await this.tryKubectl(
              'get',
              'node',
              node.name,
              '-o',
              'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
            )
          ).stdout,
          logs: `${nodeDirectory(node)}/log`,
        })),
      ),
      kubeconfig: adminKubeconfig,
    }
  }

  /** What is wrong with it, for whoever has to find out: pods that are not ready, events, ends of the logs. */
  async diagnosis(): Promise<string> {
    const asked = [
      ['get', 'nodes', '-o', 'wide'],
      ['get', 'pods', '-A', '-o', 'wide'],
      ['get', 'events', '-A', '--sort-by=.lastTimestamp'],
    ]
    const answers = await Promise.all(
      asked.map(async args => {
        const { stdout, stderr } = await this.tryKubectl(...args)
        return `-- kubectl ${args.join(' ')}\n${lastLines(stdout || stderr, 40)}`
      }),
    )
    const files = [
      logOf('kube-apiserver'),
      ...nodes.flatMap(n => [
        `${nodeDirectory(n)}/node.log`,
        `${nodeDirectory(n)}/log/containerd.log`,
        `${nodeDirectory(n)}/log/kubelet.log`,
      ]),
    ]
    const logs = await Promise.all(
      files.map(async f => `-- ${f}\n${lastLines(await readFile(f, 'utf8').catch(() => '(none)'), 12)}`),
    )
    return [...answers, ...logs].join('\n')
  }
}

const lastLines = (text: string, count: number) => text.trimEnd().split('\n').slice(-count).join('\n')
