import type { Message } from 'protobufjs'
import { oapProtocol } from './oap-protocol.ts'

interface Instant {
  readonly seconds?: number
}
interface Time {
  readonly offset?: { readonly offset?: number }
}
interface Address {
  readonly kubernetes?: { readonly serviceName?: string; readonly podName?: string }
}
interface Timed {
  readonly startTime?: Time
  readonly endTime?: Time
}
interface Http extends Timed {
  readonly version?: number
  readonly request?: { method?: number; path?: string; sizeOfHeadersBytes?: number; sizeOfBodyBytes?: number }
  readonly response?: { statusCode?: number; sizeOfHeadersBytes?: number; sizeOfBodyBytes?: number }
}
interface Write extends Timed {
  readonly l4Metrics?: Record<string, number>
}
interface Read extends Timed {
  readonly l2Metrics?: { totalPackageCount?: number; totalPackageSize?: number }
}
interface KernelLog {
  readonly connect?: Timed & { readonly success?: boolean }
  readonly accept?: Timed
  readonly close?: Timed & { readonly success?: boolean }
  readonly write?: Write
  readonly read?: Read
}
export interface AccessLog {
  readonly node?: { readonly name?: string; readonly bootTime?: Instant; readonly clusterName?: string }
  readonly connection?: {
    readonly local?: Address
    readonly remote?: Address
    readonly role?: number
    readonly protocol?: number
  }
  readonly kernelLogs?: readonly KernelLog[]
  readonly protocolLog?: { readonly http?: Http }
}

export function decodeAccessLog(message: Uint8Array): AccessLog {
  const type = oapProtocol().lookupType('skywalking.v3.EBPFAccessLogMessage')
  return type.toObject(type.decode(message) as Message, { longs: Number, enums: Number }) as AccessLog
}

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT']
const addressName = /^(\d{1,3}(\.\d{1,3}){3}|\[?[0-9a-f]*:[0-9a-f:.]*\]?)(:\d+)?$/i

/**
 * What a real OAP does with messages, by the rules that were measured on one (docs/oap.md): series by minute under the
 * names of test/oap/config/oal/ebpf.oal, services, instances, endpoints and calls, and what it could not bear.
 */
export class OapModel {
  /** `metric entity minute` → value. Entities are names joined by ` > ` and ` | `. */
  readonly series = new Map<string, number>()
  readonly services = new Set<string>()
  readonly instances = new Set<string>()
  readonly endpoints = new Set<string>()
  /** Call → ends that detected it. */
  readonly calls = new Map<string, Set<string>>()
  readonly instanceCalls = new Map<string, Set<string>>()
  /** What breaks a rule: a real OAP would lose something, mostly without a word. */
  readonly broken: string[] = []
  logs = 0

  /** Reads one stream. */
  stream(): (message: AccessLog) => void {
    let bootSeconds: number | undefined
    let connection: AccessLog['connection']
    return message => {
      if (message.node !== undefined) {
        bootSeconds = message.node.bootTime?.seconds
        if (!message.node.name) this.broken.push('a node without a name')
        if (bootSeconds === undefined) this.broken.push('a node without a boot time')
      }
      if (message.connection !== undefined) connection = message.connection
      if (bootSeconds === undefined) return void this.broken.push('no node before the first log')
      const kernelLogs = message.kernelLogs ?? []
      if (kernelLogs.length === 0 && message.protocolLog === undefined) return
      const ends = this.#ends(connection)
      if (ends === undefined) return
      for (const log of kernelLogs) this.#kernelLog(ends, log, bootSeconds)
      if (message.protocolLog !== undefined) this.#httpLog(ends, message.protocolLog.http, bootSeconds)
    }
  }

  #ends(connection: AccessLog['connection']): Ends | undefined {
    const local = connection?.local?.kubernetes
    const remote = connection?.remote?.kubernetes
    const role = connection?.role ?? 0
    const problem =
      local === undefined || remote === undefined
        ? 'a log without a connection between Kubernetes addresses'
        : (nameProblem(local.serviceName, 70) ?? nameProblem(remote.serviceName, 70)) ||
          podProblem(local.podName) ||
          podProblem(remote.podName) ||
          (local.serviceName === remote.serviceName ? 'a service that talks to itself' : '') ||
          (role > 1 ? 'a role that makes no edge' : '')
    if (problem !== '') {
      this.broken.push(problem)
      return undefined
    }
    const own = { service: local!.serviceName!, pod: local!.podName ?? '' }
    const other = { service: remote!.serviceName!, pod: remote!.podName ?? '' }
    const [from, to] = role === 0 ? [own, other] : [other, own]
    const ends: Ends = {
      own,
      side: role === 0 ? 'client' : 'server',
      call: `${from.service} > ${to.service}`,
      instanceCall:
        from.pod && to.pod ? `${from.service} | ${from.pod} > ${to.service} | ${to.pod}` : undefined,
    }
    return ends
  }

  #known({ own, side, call, instanceCall }: Ends): void {
    this.services.add(own.service)
    if (own.pod) this.instances.add(`${own.service} | ${own.pod}`)
    detected(this.calls, call, side)
    if (instanceCall) detected(this.instanceCalls, instanceCall, side)
  }

  #kernelLog(ends: Ends, log: KernelLog, bootSeconds: number): void {
    this.logs++
    const kinds = Object.keys(log) as (keyof KernelLog)[]
    const kind = kinds[0]
    if (kinds.length !== 1 || kind === undefined) return void this.broken.push('an empty log')
    const operation = log[kind]!
    const minute = this.#minute(operation, bootSeconds)
    const duration = this.#duration(operation)
    this.#known(ends)
    const add = (name: string, value: number) => this.#add(ends, name, value, minute)
    if (kind === 'connect' || kind === 'accept' || kind === 'close') {
      add(`${kind}_cpm`, 1)
      add(`${kind}_duration`, duration)
      if (kind === 'connect' && log.connect!.success) add('connect_success_cpm', 1)
      return
    }
    add(`~${kind}_cpm`, 1)
    add(`~${kind}_package_duration`, duration)
    const figures =
      kind === 'write'
        ? {
            write_package_cpm: log.write!.l4Metrics?.totalTransmitPackageCount,
            write_retrains_package_cpm: log.write!.l4Metrics?.totalRetransmitPackageCount,
            write_package_size: log.write!.l4Metrics?.totalPackageSize,
          }
        : {
            read_package_cpm: (log.read!.l2Metrics?.totalPackageCount ?? 0) | 0,
            read_package_size: log.read!.l2Metrics?.totalPackageSize,
          }
    for (const [name, value = 0] of Object.entries(figures)) add(`~${name}`, value)
  }

  #httpLog(ends: Ends, http: Http | undefined, bootSeconds: number): void {
    this.logs++
    if (http === undefined) return void this.broken.push('an empty protocol log')
    const { request, response } = http
    const status = response?.statusCode ?? 0
    if (status < 100 || status > 599) this.broken.push('a status that is in no class')
    const minute = this.#minute(http, bootSeconds)
    this.#known(ends)
    const endpoint = `${methods[request?.method ?? 0]}:${request?.path ?? ''}`
    if (endpoint.length > 150 || !request?.path) this.broken.push('an endpoint name that does not fit')
    const isSuccess = status < 500 ? 1 : 0
    const latencyMs = Math.floor(this.#duration(http) / 1e6)
    const figures: Record<string, number> = {
      http_call_cpm: 1,
      http_call_duration: latencyMs,
      http_req_header_size: request?.sizeOfHeadersBytes ?? 0,
      http_req_body_size: request?.sizeOfBodyBytes ?? 0,
      http_resp_header_size: response?.sizeOfHeadersBytes ?? 0,
      http_resp_body_size: response?.sizeOfBodyBytes ?? 0,
      [`http_status_${Math.floor(status / 100)}xx_cpm`]: 1,
    }
    for (const [name, value] of Object.entries({ ...figures, http_success_cpm: isSuccess }))
      this.#addRelation(ends, `~${name}`, value, minute)
    if (ends.side === 'server') {
      for (const [name, value] of Object.entries({ ...figures, http_call_success_count: isSuccess }))
        this.#addOwn(ends, name, value, minute)
      const ofEndpoint = {
        ...figures,
        http_call_success_cpm: isSuccess,
        call_cpm: 1,
        call_success_cpm: isSuccess,
        call_duration: isSuccess * latencyMs,
      }
      for (const [name, value] of Object.entries(ofEndpoint))
        this.#sum('kubernetes_service_endpoint_', name, `${ends.own.service} | ${endpoint}`, value, minute)
    }
    if (ends.side === 'server') this.endpoints.add(`${ends.own.service} | ${endpoint}`)
  }

  #minute({ startTime }: Timed, bootSeconds: number): number {
    return Math.floor((bootSeconds + Math.floor((startTime?.offset?.offset ?? 0) / 1e9)) / 60)
  }

  #duration({ startTime, endTime }: Timed): number {
    const duration = (endTime?.offset?.offset ?? 0) - (startTime?.offset?.offset ?? 0)
    if (duration < 0 || !Number.isSafeInteger(duration)) this.broken.push('an end before its start')
    return duration
  }

  #add(ends: Ends, name: string, value: number, minute: number): void {
    this.#addOwn(ends, name.replace('~', ''), value, minute)
    this.#addRelation(ends, name, value, minute)
  }

  #addOwn({ own }: Ends, name: string, value: number, minute: number): void {
    this.#sum('kubernetes_service_', name, own.service, value, minute)
    if (own.pod) this.#sum('kubernetes_service_instance_', name, `${own.service} | ${own.pod}`, value, minute)
  }

  /** `~` in a name is where the relation's metric names the side. */
  #addRelation({ call, instanceCall, side }: Ends, name: string, value: number, minute: number): void {
    const sided = name.replace('~', `${side}_`)
    this.#sum('kubernetes_service_relation_', sided, call, value, minute)
    if (instanceCall) this.#sum('kubernetes_service_instance_relation_', sided, instanceCall, value, minute)
  }

  #sum(prefix: string, name: string, entity: string, value: number, minute: number): void {
    const key = `${prefix}${name} @ ${entity} @ ${minute}`
    this.series.set(key, (this.series.get(key) ?? 0) + value)
  }
}

interface Ends {
  readonly own: { readonly service: string; readonly pod: string }
  readonly side: 'client' | 'server'
  readonly call: string
  readonly instanceCall: string | undefined
}

function detected(calls: Map<string, Set<string>>, call: string, side: string): void {
  const sides = calls.get(call) ?? new Set()
  sides.add(side)
  calls.set(call, sides)
}

function nameProblem(name: string | undefined, limit: number): string {
  if (!name || name.trim() === '') return 'a service without a name'
  if (name === 'Unknown' || addressName.test(name)) return 'an address as a name'
  return name.length > limit ? 'a name that OAP cuts' : ''
}

function podProblem(name: string | undefined): string {
  if (!name) return ''
  if (addressName.test(name)) return 'an address as an instance'
  return name.length > 70 ? 'an instance that OAP cuts' : ''
}
