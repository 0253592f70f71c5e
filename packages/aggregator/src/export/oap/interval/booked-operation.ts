import { bucketValue } from '../../../topology/latency-entries.ts'
import type { SaidDelta } from '../../../topology/said-deltas.ts'
import { l7ProtocolName, SaidFlag, saidSums, unknownStatus } from '../../../topology/said-rows.ts'
import type { EndName } from './end-name.ts'
import { type HttpRequests, httpMethods } from './http-requests.ts'
import { Role } from './pod-pair.ts'

/**
 * What one end of an edge saw of one operation of an application protocol in a minute, since it was last told. This is
 * all that the export needs to know of application protocols.
 */
export interface BookedOperation {
  readonly role: Role
  /** As in records: http1, http2, grpc, dns, redis … */
  readonly protocol: string
  /** `GET /items/{id}`, `/package.Service/Method`, whatever the protocol calls an operation. */
  readonly name: string
  /** The protocol's own code; undefined where no answer was seen. */
  readonly status: number | undefined
  readonly isError: boolean
  readonly count: number
  /** How many took about how long; those without a meaningful latency are in `count` alone. */
  readonly latencies: readonly (readonly [microseconds: number, requests: number])[]
  readonly requestBytes: number
  readonly responseBytes: number
}

const [countAt, requestBytesAt, responseBytesAt] = (['count', 'requestBytes', 'responseBytes'] as const).map(
  name => saidSums.indexOf(name),
)

export function bookedOperation({ operation, status, flags, sums, buckets }: SaidDelta): BookedOperation {
  const isTimed = (flags & SaidFlag.timeless) === 0
  return {
    role: (flags & SaidFlag.server) === 0 ? Role.client : Role.server,
    protocol: l7ProtocolName(operation.protocol),
    name: operation.name,
    status: status === unknownStatus ? undefined : status,
    isError: (flags & SaidFlag.error) !== 0,
    count: Math.round(sums[countAt]),
    latencies: isTimed
      ? buckets
          .filter(([, count]) => count > 0)
          .map(([slot, count]) => [bucketValue(slot), Math.round(count)])
      : [],
    requestBytes: Math.max(0, Math.round(sums[requestBytesAt])),
    responseBytes: Math.max(0, Math.round(sums[responseBytesAt])),
  }
}

/** Statuses of gRPC as HTTP has them; the answers themselves all say 200. */
const httpOfGrpc = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]
const grpcMethod = 'POST'

/**
 * The requests that OAP's access log has a place for; undefined for other protocols, and for requests without an answer:
 * the log would count them as answered.
 */
export function httpRequestsOf(
  operation: BookedOperation,
  local: EndName,
  remote: EndName,
): HttpRequests | undefined {
  const { protocol, name, role } = operation
  const isGrpc = protocol === 'grpc'
  const status = isGrpc ? httpOfGrpc[operation.status ?? -1] : operation.status
  if (status === undefined || !(isGrpc || protocol === 'http1' || protocol === 'http2')) return undefined
  const space = name.indexOf(' ')
  const method = isGrpc || space < 0 ? grpcMethod : name.slice(0, space).toUpperCase()
  return {
    role,
    local,
    remote,
    method: Object.hasOwn(httpMethods, method) ? method : grpcMethod,
    path: isGrpc ? name : name.slice(space + 1),
    status,
    version: protocol === 'http1' ? 1 : 2,
    latencies: everyOne(operation),
    requestHeaderBytes: 0,
    requestBodyBytes: operation.requestBytes,
    responseHeaderBytes: 0,
    responseBodyBytes: operation.responseBytes,
  }
}

/** A log has to say how long its request took: the mean of those that are known stands for the others. */
function everyOne({ count, latencies }: BookedOperation): HttpRequests['latencies'] {
  let known = 0
  let sum = 0
  for (const [microseconds, requests] of latencies) {
    known += requests
    sum += microseconds * requests
  }
  if (known >= count) return latencies
  return [...latencies, [known === 0 ? 0 : Math.round(sum / known), count - known]]
}
