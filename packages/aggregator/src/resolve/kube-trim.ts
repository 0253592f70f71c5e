import type {
  KubeNode,
  KubeOwner,
  KubePod,
  KubeService,
  KubeSlice,
  Labels,
  OwnerReference,
} from './kube-object.ts'

/** Makes trimmed objects of what the API sent. Whatever it sent, the answer is sound or undefined. */
export interface KubeTrimmer {
  pod(raw: unknown): KubePod | undefined
  service(raw: unknown): KubeService | undefined
  slice(raw: unknown): KubeSlice | undefined
  node(raw: unknown): KubeNode | undefined
  owner(raw: unknown): KubeOwner | undefined
}

const second = 1000
const mostInterned = 200_000
const mostLabels = 64
/** Says what runs, not who it is: different in every pod, so that keeping it costs each pod an array of its own. */
const uniqueLabels = new Set([
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
  'batch.kubernetes.io/job-completion-index',
])

type Raw = Readonly<Record<string, unknown>>

export function createKubeTrimmer(): KubeTrimmer {
  let texts = new Map<string, string>()
  let labelSets = new Map<string, Labels>()
  let controllers = new Map<string, OwnerReference>()

  /** One string object for equal texts; a JSON parser makes a new one each time. */
  function shared(value: unknown): string {
    if (typeof value !== 'string' || value === '') return ''
    const known = texts.get(value)
    if (known !== undefined) return known
    // what is forgotten here is only kept twice
    if (texts.size >= mostInterned) texts = new Map()
    texts.set(value, value)
    return value
  }

  function labelsOf(raw: unknown): Labels {
    const pairs = Object.entries(record(raw))
      .filter(([key, value]) => typeof value === 'string' && !uniqueLabels.has(key))
      .slice(0, mostLabels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flat() as string[]
    const key = JSON.stringify(pairs)
    const known = labelSets.get(key)
    if (known !== undefined) return known
    if (labelSets.size >= mostInterned) labelSets = new Map()
    const labels = pairs.map(shared)
    labelSets.set(key, labels)
    return labels
  }

  function controllerOf(metadata: Raw): OwnerReference | undefined {
    const found = list(metadata.ownerReferences).find(r => r.controller === true)
    const uid = text(found?.uid)
    if (found === undefined || uid === '') return undefined
    const [kind, name] = [shared(found.kind), shared(found.name)]
    const known = controllers.get(uid)
    if (known?.kind === kind && known.name === name) return known
    if (controllers.size >= mostInterned) controllers = new Map()
    const controller = { kind, name, uid: shared(uid) }
    controllers.set(controller.uid, controller)
    return controller
  }

  return {
    pod(raw) {
      const { metadata, spec, status } = parts(raw)
      const uid = text(metadata.uid)
      if (uid === '') return undefined
      const annotations = record(metadata.annotations)
      const run = runOf(status, metadata)
      return {
        kind: 'pod',
        uid: shared(uid),
        version: text(metadata.resourceVersion),
        namespace: shared(metadata.namespace),
        name: text(metadata.name),
        node: shared(spec.nodeName),
        hostNetwork: spec.hostNetwork === true,
        addresses: addressesOf(
          list(status.podIPs).map(p => p.ip),
          status.podIP,
        ),
        labels: labelsOf(metadata.labels),
        owner: controllerOf(metadata),
        configHash:
          text(annotations['kubernetes.io/config.mirror']) || text(annotations['kubernetes.io/config.hash']),
        containers: run.containers.map((part, i) => (i % 2 === 0 ? part : shared(part))),
        deleting: metadata.deletionTimestamp !== undefined,
        runsToCompletion: spec.restartPolicy === 'Never' || spec.restartPolicy === 'OnFailure',
        startedMs: timeOf(status.startTime),
        runningMs: run.runningMs,
        endedMs: run.endedMs,
      }
    },
    service(raw) {
      const { metadata, spec, status } = parts(raw)
      const uid = text(metadata.uid)
      if (uid === '') return undefined
      const balancer = list(record(status.loadBalancer).ingress).map(i => i.ip)
      return {
        kind: 'service',
        uid,
        version: text(metadata.resourceVersion),
        namespace: shared(metadata.namespace),
        name: text(metadata.name),
        clusterAddresses: addressesOf(array(spec.clusterIPs), spec.clusterIP),
        externalAddresses: addressesOf([...array(spec.externalIPs), ...balancer], undefined),
        externalName: spec.type === 'ExternalName' ? text(spec.externalName).toLowerCase() : '',
        nodePorts: list(spec.ports).flatMap(p => (typeof p.nodePort === 'number' ? [p.nodePort] : [])),
        createdMs: timeOf(metadata.creationTimestamp) ?? 0,
      }
    },
    slice(raw) {
      const { metadata } = parts(raw)
      const uid = text(metadata.uid)
      const service = shared(record(metadata.labels)['kubernetes.io/service-name'])
      if (uid === '' || service === '') return undefined
      const endpoints = list(record(raw).endpoints)
      const isPod = (e: Raw) => record(e.targetRef).kind === 'Pod'
      return {
        kind: 'slice',
        uid,
        version: text(metadata.resourceVersion),
        namespace: shared(metadata.namespace),
        service,
        podUids: endpoints.filter(isPod).map(e => shared(record(e.targetRef).uid)),
        addresses: addressesOf(
          endpoints.filter(e => record(e.targetRef).kind === undefined).flatMap(e => array(e.addresses)),
          undefined,
        ),
        createdMs: timeOf(metadata.creationTimestamp) ?? 0,
      }
    },
    node(raw) {
      const { metadata, spec, status } = parts(raw)
      const uid = text(metadata.uid)
      if (uid === '') return undefined
      const addresses = list(status.addresses).filter(a => a.type === 'InternalIP' || a.type === 'ExternalIP')
      return {
        kind: 'node',
        uid,
        version: text(metadata.resourceVersion),
        name: shared(metadata.name),
        zone: shared(record(metadata.labels)['topology.kubernetes.io/zone']),
        addresses: addressesOf(
          addresses.map(a => a.address),
          undefined,
        ),
        podRanges: strings(array(spec.podCIDRs)),
        createdMs: timeOf(metadata.creationTimestamp) ?? 0,
      }
    },
    owner(raw) {
      const { metadata } = parts(raw)
      const uid = text(metadata.uid)
      if (uid === '') return undefined
      return { kind: 'owner', uid, version: text(metadata.resourceVersion), owner: controllerOf(metadata) }
    },
  }
}

interface Run {
  readonly containers: readonly string[]
  readonly runningMs: number | undefined
  readonly endedMs: number | undefined
}

/** When its containers ran: the earliest start and, if all have ended, the latest end. */
function runOf(status: Raw, metadata: Raw): Run {
  const main = list(status.containerStatuses)
  const all = [...main, ...list(status.initContainerStatuses), ...list(status.ephemeralContainerStatuses)]
  const containers: string[] = []
  let runningMs: number | undefined
  let endedMs: number | undefined
  let isOver = main.length > 0 && (metadata.deletionTimestamp !== undefined || isFinal(status.phase))
  for (const container of all) {
    const states = [record(container.state), record(container.lastState)]
    const ids = [container.containerID, ...states.map(s => record(s.terminated).containerID)]
    for (const id of new Set(ids.map(containerId))) if (id !== '') containers.push(id, text(container.name))
    const starts = states
      .flatMap(s => [record(s.running).startedAt, record(s.terminated).startedAt])
      .map(timeOf)
    for (const start of starts)
      if (start && !(runningMs && runningMs < start + second)) runningMs = start + second
    if (states[0].running !== undefined) isOver = false
    const end = timeOf(record(states[0].terminated).finishedAt)
    if (end !== undefined && !(endedMs && endedMs > end)) endedMs = end
  }
  return { containers, runningMs, endedMs: isOver ? endedMs : undefined }
}

function isFinal(phase: unknown): boolean {
  return phase === 'Succeeded' || phase === 'Failed'
}

function containerId(value: unknown): string {
  const full = text(value)
  const scheme = full.indexOf('://')
  // a slice would keep the whole text that it was cut from
  return scheme < 0 ? full : Buffer.from(full.slice(scheme + 3)).toString()
}

function addressesOf(many: readonly unknown[], one: unknown): string[] {
  const all = new Set(strings([one, ...many]).map(a => a.toLowerCase()))
  all.delete('none')
  return [...all]
}

function strings(values: readonly unknown[]): string[] {
  return values.filter(v => typeof v === 'string' && v !== '') as string[]
}

function parts(raw: unknown): { readonly metadata: Raw; readonly spec: Raw; readonly status: Raw } {
  const { metadata, spec, status } = record(raw)
  return { metadata: record(metadata), spec: record(spec), status: record(status) }
}

function record(value: unknown): Raw {
  return typeof value === 'object' && value !== null ? (value as Raw) : {}
}

function array(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function list(value: unknown): Raw[] {
  return array(value).map(record)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  // a container that never started has the zero time of Go
  return ms > 0 ? ms : undefined
}
