import { l7ProtocolName } from '../../topology/said-rows.ts'
import type { Attributes } from './attribute-bytes.ts'
import { grpcCodes } from './grpc-codes.ts'

/** What one end saw of one operation with one outcome. */
export interface OperationSeen {
  readonly isServer: boolean
  readonly protocol: number
  readonly name: string
  readonly host: string
  /** The protocol's own code; undefined where no answer was seen, or where several codes are told as one. */
  readonly status: number | undefined
  readonly outcome: Outcome
}

export type Outcome = 'ok' | 'error' | 'unanswered'

/** The conventions' name for how long it takes, and the attributes that go with it. */
export interface OperationNames {
  readonly duration: string
  readonly attributes: Attributes
}

const ownDuration = 'skybraid.operation.duration'
const dnsCodes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']
const httpMethods = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'QUERY',
])
const databases: Readonly<Record<string, string>> = { postgres: 'postgresql', mysql: 'mysql', redis: 'redis' }

/** In the words of OpenTelemetry's conventions where there are some, otherwise in our own. */
export function operationNames(seen: OperationSeen): OperationNames {
  const protocol = l7ProtocolName(seen.protocol)
  const { duration, attributes, code } = wordsOf(seen, protocol)
  return {
    duration,
    attributes: [
      ...attributes,
      ...(seen.outcome === 'error' ? [['error.type', code ?? '_OTHER'] as const] : []),
      ['network.protocol.name', protocol.replace(/^http[12]$/, 'http')],
      ...(protocol === 'http2' ? [['network.protocol.version', '2'] as const] : []),
      ['skybraid.outcome', seen.outcome],
    ],
  }
}

interface Words extends OperationNames {
  /** The status as a word. */
  readonly code: string | undefined
}

function wordsOf(seen: OperationSeen, protocol: string): Words {
  if (protocol === 'http1' || protocol === 'http2') return httpWords(seen)
  if (protocol === 'grpc') return grpcWords(seen)
  if (databases[protocol] !== undefined) return databaseWords(seen, protocol)
  if (protocol === 'dns') return dnsWords(seen)
  const code = seen.status === undefined ? undefined : String(seen.status)
  const status = code === undefined ? [] : [['skybraid.status', code] as const]
  return { duration: ownDuration, attributes: [['skybraid.operation', seen.name], ...status], code }
}

function httpWords({ name, isServer, status }: OperationSeen): Words {
  const space = name.indexOf(' ')
  const method = space < 0 ? '' : name.slice(0, space)
  return {
    duration: isServer ? 'http.server.request.duration' : 'http.client.request.duration',
    attributes: [
      ['http.request.method', httpMethods.has(method) ? method : '_OTHER'],
      [isServer ? 'http.route' : 'url.template', name.slice(space + 1)],
      // what is encrypted is not read
      ['url.scheme', 'http'],
      ...(status === undefined ? [] : [['http.response.status_code', status] as const]),
    ],
    code: status === undefined ? undefined : String(status),
  }
}

function grpcWords({ name, isServer, status }: OperationSeen): Words {
  const code = status === undefined ? undefined : (grpcCodes[status] ?? String(status))
  return {
    duration: isServer ? 'rpc.server.call.duration' : 'rpc.client.call.duration',
    attributes: [
      ['rpc.system.name', 'grpc'],
      ['rpc.method', name],
      ...(code === undefined ? [] : [['rpc.response.status_code', code] as const]),
    ],
    code,
  }
}

/** The conventions only know what the client sees of a database. */
function databaseWords({ name, isServer, status }: OperationSeen, protocol: string): Words {
  const code = status === undefined || status === 0 ? undefined : databaseCode(status, protocol)
  return {
    duration: isServer ? ownDuration : 'db.client.operation.duration',
    attributes: [
      ['db.system.name', databases[protocol]],
      ['db.operation.name', protocol === 'redis' ? name : name.split(' ', 1)[0]],
      ...(protocol === 'redis' ? [] : [['db.query.summary', name] as const]),
      ...(code === undefined ? [] : [['db.response.status_code', code] as const]),
    ],
    code,
  }
}

function databaseCode(status: number, protocol: string): string {
  return protocol === 'postgres' ? status.toString(36).toUpperCase().padStart(5, '0') : String(status)
}

/** A look-up is the client's; what a server of names sees of it has no convention. */
function dnsWords({ name, isServer, status }: OperationSeen): Words {
  const space = name.indexOf(' ')
  return {
    duration: isServer ? ownDuration : 'dns.lookup.duration',
    attributes: [
      ['dns.question.name', name.slice(space + 1)],
      ...(space < 0 ? [] : [['skybraid.dns.question.type', name.slice(0, space)] as const]),
    ],
    code: status === undefined ? undefined : (dnsCodes[status] ?? String(status)),
  }
}
