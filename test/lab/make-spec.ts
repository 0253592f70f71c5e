import { randomBytes, randomUUID } from 'node:crypto'
import type { CgroupDriver, LabSpec, NodeSpec, PodSpec } from './spec.ts'

export interface LabOptions {
  /** Part of every name the lab makes; letters, digits and dashes. */
  readonly id?: string
  readonly nodes?: number
  /** Pods on each node, named a1, a2, … b1, …; a number or, per node, a list of names. */
  readonly pods?: number | Readonly<Record<string, readonly string[]>>
  /** Pods in the node's own network namespace, per node. */
  readonly hostPods?: Readonly<Record<string, readonly string[]>>
  readonly cgroupDriver?: CgroupDriver | Readonly<Record<string, CgroupDriver>>
  /** Survives the process that made it, until `down`. */
  readonly keep?: boolean
}

export function makePod(name: string, node: string, hostNumber: number, hostNetwork = false): PodSpec {
  return {
    name,
    node,
    hostNetwork,
    hostNumber,
    uid: randomUUID(),
    containerId: randomBytes(32).toString('hex'),
  }
}

/** The first free last byte for a pod on a node (10 and up). */
export function freeHostNumber(pods: readonly PodSpec[], node: string): number {
  const taken = new Set(pods.filter(p => p.node === node && !p.hostNetwork).map(p => p.hostNumber))
  let number = 10
  while (taken.has(number)) number++
  return number
}

export function makeSpec(options: LabOptions): LabSpec {
  const id = options.id ?? `t${randomBytes(3).toString('hex')}`
  if (!/^[a-z0-9][a-z0-9-]{0,15}$/.test(id)) throw new Error(`lab id "${id}": up to 16 of a-z, 0-9 and -`)
  const count = options.nodes ?? 2
  if (!Number.isInteger(count) || count < 1 || count > 20) throw new Error(`nodes: ${count} is not in 1..20`)
  const nodes: NodeSpec[] = []
  const pods: PodSpec[] = []
  for (let i = 0; i < count; i++) {
    const name = String.fromCharCode(97 + i)
    const driver =
      typeof options.cgroupDriver === 'object' ? options.cgroupDriver[name] : options.cgroupDriver
    nodes.push({ name, number: i + 1, cgroupDriver: driver ?? 'systemd' })
    for (const pod of podNames(options.pods ?? 3, name))
      pods.push(makePod(pod, name, freeHostNumber(pods, name)))
    for (const pod of options.hostPods?.[name] ?? []) pods.push(makePod(pod, name, 0, true))
  }
  return { id, nodes, pods, services: [], ownerPid: options.keep ? 0 : process.pid }
}

function podNames(pods: NonNullable<LabOptions['pods']>, node: string): readonly string[] {
  if (typeof pods !== 'number') return pods[node] ?? []
  if (!Number.isInteger(pods) || pods < 0 || pods > 200) throw new Error(`pods: ${pods} is not in 0..200`)
  return Array.from({ length: pods }, (_, i) => `${node}${i + 1}`)
}
