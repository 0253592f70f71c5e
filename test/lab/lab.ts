import {
  addCgroup,
  cgroupProcesses,
  labCgroup,
  nodeCgroup,
  outsideCgroup,
  podCgroup,
  removeCgroup,
  unitCgroup,
} from './cgroups.ts'
import { type FaultSpec, faultRules, faultTable } from './fault-rules.ts'
import { type LabProcess, type Place, type ProcessEnd, type SpawnOptions, spawnAt } from './lab-process.ts'
import { boundPorts } from './listening.ts'
import { freeHostNumber, type LabOptions, makePod, makeSpec } from './make-spec.ts'
import { netnsPath, netnsPrefix, nodeNetns, outsideNetns, podNetns, runDirectory } from './names.ts'
import { inNamespace, ipBatch, namespacesWith, removeNamespaces, setSysctls } from './namespaces.ts'
import { addPodNetwork, buildNetwork, podLinkName, setNodeOffload, setPodOffload } from './network.ts'
import { type CommandResult, runCommand } from './run-command.ts'
import { serviceRules } from './service-rules.ts'
import {
  type Addresses,
  type LabSpec,
  nodeAddresses,
  nodeOf,
  outsideAddresses,
  type PodSpec,
  podAddresses,
  podOf,
  type ServiceSpec,
  serviceAddresses,
} from './spec.ts'
import { labIds, readState, removeState, writeState } from './state-file.ts'
import { until } from './until.ts'

export interface Fault {
  /** Packets and bytes it has hit so far, by nft's own counter. */
  hits(): Promise<{ packets: number; bytes: number }>
  remove(): Promise<void>
}

export interface ServiceOptions {
  readonly protocol?: 'tcp' | 'udp'
  readonly port: number
  readonly targetPort?: number
  readonly endpoints: readonly string[]
  readonly masquerade?: boolean
  readonly nodePort?: number
}

/**
 * A cluster of network namespaces and cgroups on this machine. A *target* is the name of a pod, of a node (its own
 * network namespace, as a system service), or `outside` (a machine of the underlay that is no node).
 * Needs root, nft, iproute2 and a cgroup2 mount. `down` removes everything, also what a crash left.
 */
export class Lab {
  readonly id: string
  #spec: LabSpec
  #faults = 0
  readonly #processes = new Set<LabProcess>()

  private constructor(spec: LabSpec) {
    this.id = spec.id
    this.#spec = spec
  }

  get spec(): LabSpec {
    return this.#spec
  }

  /** Files of this lab: configurations and logs of its programs. Removed by `down`. */
  get directory(): string {
    return runDirectory(this.id)
  }

  /** Builds a lab. An existing one of the same id is removed first. */
  static async up(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(makeSpec(options))
    await removeLab(lab.id)
    await writeState(lab.spec)
    try {
      await Promise.all([buildNetwork(lab.spec), lab.#addCgroups()])
      await lab.#applyServices()
      await Promise.all(
        lab.spec.nodes.map(n =>
          setSysctls(nodeNetns(lab.spec, n.name), {
            'net.netfilter.nf_conntrack_acct': 1,
            'net.netfilter.nf_conntrack_tcp_be_liberal': 1,
          }),
        ),
      )
    } catch (error) {
      await removeLab(lab.id)
      throw error
    }
    return lab
  }

  /** A lab that is already up, made by this or another process. */
  static async attach(id: string): Promise<Lab> {
    const spec = await readState(id)
    if (!spec) throw new Error(`no lab "${id}" is up`)
    return new Lab(spec)
  }

  /** Removes labs whose maker died without removing them. */
  static removeStale(): Promise<string[]> {
    return Lab.#removeOf(pid => pid !== 0 && !alive(pid))
  }

  /** Removes the labs that this process made, for a process that is told to end in the midst of its work. */
  static removeOwn(): Promise<string[]> {
    return Lab.#removeOf(pid => pid === process.pid)
  }

  static async #removeOf(isMeant: (ownerPid: number) => boolean): Promise<string[]> {
    const removed: string[] = []
    for (const id of await labIds()) {
      const spec = await readState(id).catch(() => undefined)
      if (!spec || !isMeant(spec.ownerPid)) continue
      await removeLab(id)
      removed.push(id)
    }
    return removed
  }

  static remove(id: string): Promise<void> {
    return removeLab(id)
  }

  /** Removes processes, cgroups, namespaces and files. May be called again. */
  async down(): Promise<void> {
    await removeLab(this.id)
    await Promise.allSettled([...this.#processes].map(p => p.ended))
  }

  async #addCgroups(): Promise<void> {
    const spec = this.#spec
    await addCgroup(await outsideCgroup(spec))
    for (const node of spec.nodes) await addCgroup(await nodeCgroup(spec, node.name))
    for (const pod of spec.pods) await addCgroup(await podCgroup(spec, pod))
  }

  // ---- who is where

  pod(name: string): PodSpec {
    return podOf(this.#spec, name)
  }

  addresses(target: string): Addresses {
    if (target === 'outside') return outsideAddresses
    const node = this.#spec.nodes.find(n => n.name === target)
    return node ? nodeAddresses(node) : podAddresses(this.#spec, this.pod(target))
  }

  netns(target: string): string {
    if (target === 'outside') return outsideNetns(this.#spec)
    if (this.#spec.nodes.some(n => n.name === target)) return nodeNetns(this.#spec, target)
    return podNetns(this.#spec, this.pod(target))
  }

  /** Cgroup directory of a pod's container, of a unit on a node, or of the outside machine. */
  cgroup(target: string, unit = 'lab'): Promise<string> {
    if (target === 'outside') return outsideCgroup(this.#spec)
    if (this.#spec.nodes.some(n => n.name === target)) return unitCgroup(this.#spec, target, unit)
    return podCgroup(this.#spec, this.pod(target))
  }

  /** The subtree to which a node's collector is confined. */
  nodeCgroup(node: string): Promise<string> {
    return nodeCgroup(this.#spec, nodeOf(this.#spec, node).name)
  }

  // ---- pods and services that come and go

  async addPod(
    node: string,
    name: string,
    options: { readonly hostNumber?: number; readonly hostNetwork?: boolean } = {},
  ) {
    if (this.#spec.pods.some(p => p.name === name)) throw new Error(`pod "${name}" exists`)
    const number = options.hostNumber ?? freeHostNumber(this.#spec.pods, node)
    const pod = makePod(name, nodeOf(this.#spec, node).name, number, options.hostNetwork ?? false)
    await this.#change({ ...this.#spec, pods: [...this.#spec.pods, pod] })
    await addCgroup(await podCgroup(this.#spec, pod))
    if (!pod.hostNetwork) await addPodNetwork(this.#spec, pod)
    return pod
  }

  /** Kills what runs in the pod and frees its addresses. */
  async removePod(name: string): Promise<void> {
    const pod = this.pod(name)
    await removeCgroup(await podCgroup(this.#spec, pod))
    if (!pod.hostNetwork) {
      await ipBatch(nodeNetns(this.#spec, pod.node), [`link del ${podLinkName(pod)}`])
      await removeNamespaces(podNetns(this.#spec, pod))
    }
    await this.#change({ ...this.#spec, pods: this.#spec.pods.filter(p => p !== pod) })
  }

  /** Adds a service, or replaces the one of this name; returns its addresses. */
  async service(name: string, options: ServiceOptions): Promise<Addresses & { readonly port: number }> {
    const old = this.#spec.services.find(s => s.name === name)
    const taken = new Set(this.#spec.services.map(s => s.hostNumber))
    let hostNumber = 10
    while (taken.has(hostNumber)) hostNumber++
    const service: ServiceSpec = {
      name,
      hostNumber: old?.hostNumber ?? hostNumber,
      protocol: options.protocol ?? 'tcp',
      port: options.port,
      targetPort: options.targetPort ?? options.port,
      endpoints: options.endpoints,
      masquerade: options.masquerade ?? false,
      ...(options.nodePort === undefined ? {} : { nodePort: options.nodePort }),
    }
    await this.#change({ ...this.#spec, services: [...this.#spec.services.filter(s => s !== old), service] })
    await this.#applyServices()
    return { ...serviceAddresses(service), port: service.port }
  }

  async #change(spec: LabSpec): Promise<void> {
    this.#spec = spec
    await writeState(spec)
  }

  async #applyServices(): Promise<void> {
    const input = serviceRules(this.#spec)
    await Promise.all(
      this.#spec.nodes.map(n =>
        runCommand([...inNamespace(nodeNetns(this.#spec, n.name)), 'nft', '-f', '-'], { input }),
      ),
    )
  }

  // ---- faults and links

  async fault(fault: FaultSpec): Promise<Fault> {
    const number = ++this.#faults
    const nft = [...inNamespace(this.netns(fault.on)), 'nft']
    await runCommand([...nft, '-f', '-'], { input: faultRules(number, fault) })
    const table = ['inet', faultTable(number)]
    return {
      hits: async () => {
        const { stdout } = await runCommand([...nft, '-j', 'list', 'counter', ...table, 'hits'])
        const list = (JSON.parse(stdout) as { nftables: { counter?: { packets: number; bytes: number } }[] })
          .nftables
        const { packets, bytes } = list.find(o => o.counter)!.counter!
        return { packets, bytes }
      },
      remove: async () => {
        await runCommand([...nft, 'delete', 'table', ...table])
      },
    }
  }

  /** Segmentation offload of a pod's or node's link; off, every packet on it is one segment. */
  offload(target: string, state: 'on' | 'off'): Promise<void> {
    const node = this.#spec.nodes.find(n => n.name === target)
    return node ? setNodeOffload(this.#spec, node, state) : setPodOffload(this.#spec, this.pod(target), state)
  }

  /** Runs `ip` commands in a target's namespace. */
  ip(target: string, commands: readonly string[]): Promise<void> {
    return ipBatch(this.netns(target), commands)
  }

  sysctl(target: string, values: Readonly<Record<string, string | number>>): Promise<void> {
    return setSysctls(this.netns(target), values)
  }

  // ---- processes

  async place(target: string, unit?: string): Promise<Place> {
    return { cgroup: await this.cgroup(target, unit), netns: this.netns(target) }
  }

  /** Starts a program at a target. It is killed by `down` at the latest. */
  async spawn(
    target: string,
    argv: readonly string[],
    options: SpawnOptions & { readonly unit?: string; readonly resolvConf?: string } = {},
  ): Promise<LabProcess> {
    const place = await this.place(target, options.unit)
    await addCgroup(place.cgroup)
    const at = options.resolvConf === undefined ? place : { ...place, resolvConf: options.resolvConf }
    const child = await spawnAt(at, argv, options)
    this.#processes.add(child)
    child.ended.then(
      () => this.#processes.delete(child),
      () => this.#processes.delete(child),
    )
    return child
  }

  /** Runs a program at a target to its end. Rejects when it fails unless `allowFailure`. */
  async exec(
    target: string,
    argv: readonly string[],
    options: SpawnOptions & {
      readonly unit?: string
      readonly input?: string
      readonly allowFailure?: boolean
      readonly resolvConf?: string
    } = {},
  ): Promise<ProcessEnd> {
    const child = await this.spawn(target, argv, options)
    if (options.stdio === undefined) {
      if (options.input !== undefined) child.write(options.input)
      child.endInput()
    }
    const end = await child.ended
    if (end.code !== 0 && !options.allowFailure)
      throw new Error(
        `${target}: ${argv.join(' ')}: exit ${end.code ?? end.signal}\n${end.stderr || end.stdout}`,
      )
    return end
  }

  /** Runs a tool in a target's network namespace but in no cgroup of the lab: for looking, not for traffic. */
  inspect(
    target: string,
    argv: readonly string[],
    options: { readonly allowFailure?: boolean; readonly input?: string } = {},
  ): Promise<CommandResult> {
    return runCommand([...inNamespace(this.netns(target)), ...argv], options)
  }

  /** Waits until the process' namespace listens on (TCP) or has bound (UDP) the port. */
  async listening(child: LabProcess, port: number, protocol: 'tcp' | 'udp' = 'tcp'): Promise<LabProcess> {
    await until(
      `${child.name} on ${protocol} port ${port}`,
      async () => {
        if (!child.running) throw new Error(`${child.name} ended: ${child.stderr}${child.stdout}`)
        return (await boundPorts(child.pid, protocol)).has(port)
      },
      { everyMs: 10, describe: () => `${child.stderr}${child.stdout}` },
    )
    return child
  }

  /** Process ids in a target's cgroup. */
  async processes(target: string): Promise<number[]> {
    return cgroupProcesses(await this.cgroup(target))
  }

  // ---- state

  async exists(): Promise<boolean> {
    return (await namespacesWith(netnsPrefix(this.id))).length > 0
  }

  netnsPath(target: string): string {
    return netnsPath(this.netns(target))
  }
}

async function removeLab(id: string): Promise<void> {
  await removeCgroup(await labCgroup(id))
  await removeNamespaces(netnsPrefix(id))
  await removeState(id)
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
