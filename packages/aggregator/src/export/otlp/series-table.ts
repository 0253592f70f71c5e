import { otherOf } from '../../topology/said-rows.ts'
import { isAddress } from '../oap/interval/end-name.ts'
import type { Attributes } from './metrics-request.ts'
import { type OperationSeen, operationNames } from './operation-names.ts'
import { type OtlpEnd, otherEnd } from './otlp-end.ts'
import { operationShape, type SeriesShape, type TransportShape } from './series-shape.ts'

/** What has the same attributes: a row of figures, told as several metrics. */
export interface Series {
  readonly key: string
  /** Who saw it: the resource. */
  readonly local: OtlpEnd
  readonly attributes: Attributes
  readonly shape: SeriesShape
  /** What the histogram without a name of its own is called. */
  readonly duration: string
}

export interface SeriesCounts {
  /** Known now. */
  readonly series: number
  readonly limit: number
  /** Figures that were told as `{other}` because there were too many series. */
  readonly folded: number
}

/** Makes series of what was seen, at most so many; what is beyond becomes `{other}`, step by step. */
export interface SeriesTable {
  operation(local: OtlpEnd, remote: OtlpEnd, port: number, seen: OperationSeen): Series
  transport(local: OtlpEnd, remote: OtlpEnd, isServer: boolean, shape: TransportShape): Series
  /** Forgets what was not seen for an hour. */
  forget(nowMs: number): void
  counts(): SeriesCounts
}

const forgetMs = 60 * 60_000
/** So many series there can be of what is `{other}` altogether: by side, protocol and outcome. */
const others = 200
/** Of the rest: further operations become `{other}` beyond the first share, further peers beyond the second. */
const shares = { operations: 0.8, peers: 0.95 } as const

interface Known extends Series {
  seenMs: number
}

export function createSeriesTable(limit: number): SeriesTable {
  const known = new Map<string, Known>()
  const most = limit - others
  let nowMs = 0
  let folded = 0

  /** The series of a key, where there is one or room for one. */
  function enter(key: string, upTo: number, make: () => Omit<Series, 'key'>): Known | undefined {
    let series = known.get(key)
    if (series === undefined) {
      if (known.size >= upTo) return undefined
      series = { key, ...make(), seenMs: nowMs }
      known.set(key, series)
    }
    series.seenMs = nowMs
    return series
  }

  function operationOf(
    local: OtlpEnd,
    remote: OtlpEnd,
    port: number,
    seen: OperationSeen,
    upTo: number,
  ): Known | undefined {
    const { isServer, protocol, name, host, status, outcome } = seen
    const what = [isServer ? 's' : 'c', protocol, port, status ?? '', outcome, name, host].join('\n')
    return enter(`${local.key}\n${remote.key}\n${what}`, upTo, () => {
      const { duration, attributes } = operationNames(seen)
      const place = isServer ? [] : serverPlace(remote, host, port)
      return {
        local,
        shape: operationShape,
        duration,
        attributes: [...peerOf(remote, isServer), ...attributes, ...place],
      }
    })
  }

  return {
    operation(local, remote, port, seen) {
      const found = operationOf(local, remote, port, seen, most * shares.operations)
      if (found !== undefined) return found
      folded++
      const other = { ...seen, ...otherOf(seen.protocol), status: undefined }
      return (
        operationOf(local, remote, port, other, most * shares.peers) ??
        operationOf(local, otherEnd, 0, other, most) ??
        operationOf(otherEnd, otherEnd, 0, other, Number.POSITIVE_INFINITY)!
      )
    },
    transport(local, remote, isServer, shape) {
      const make = (own: OtlpEnd, peer: OtlpEnd, upTo: number) =>
        enter(`${own.key}\n${peer.key}\n${isServer ? 's' : 'c'} ${shape.sums[0].name}`, upTo, () => ({
          local: own,
          shape,
          duration: '',
          attributes: peerOf(peer, isServer),
        }))
      const found = make(local, remote, most * shares.peers)
      if (found !== undefined) return found
      folded++
      return make(local, otherEnd, most) ?? make(otherEnd, otherEnd, Number.POSITIVE_INFINITY)!
    },
    forget(atMs) {
      nowMs = atMs
      for (const [key, { seenMs }] of known) if (atMs - seenMs > forgetMs) known.delete(key)
    },
    counts: () => ({ series: known.size, limit, folded }),
  }
}

function peerOf({ name, namespace }: OtlpEnd, isServer: boolean): Attributes {
  return [
    ['skybraid.side', isServer ? 'server' : 'client'],
    ['service.peer.name', name],
    ...(namespace === '' ? [] : [['service.peer.namespace', namespace] as const]),
  ]
}

/** Where a client's requests go: the host that they name, unless that is an address, and the port that it dialled. */
function serverPlace(remote: OtlpEnd, host: string, port: number): Attributes {
  const named = host.replace(/:\d+$/, '')
  return [
    ['server.address', named === '' || isAddress(named) ? remote.name : named],
    ...(port > 0 ? [['server.port', port] as const] : []),
  ]
}
