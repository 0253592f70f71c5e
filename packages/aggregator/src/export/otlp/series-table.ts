import { otherOf } from '../../topology/said-rows.ts'
import { isAddress } from '../oap/interval/end-name.ts'
import { AttributeField, type Attributes, attributeBytes } from './attribute-bytes.ts'
import { type OperationSeen, operationNames } from './operation-names.ts'
import { type OtlpEnd, otherEnd } from './otlp-end.ts'
import { operationShape, type SeriesShape, type TransportShape } from './series-shape.ts'

/** Who saw something. Series of the same end have the same object. */
export interface SeriesEnd {
  /** Its attributes, as fields of a resource. */
  readonly resource: Uint8Array
}

/** What has the same attributes: a row of figures, told as several metrics. */
export interface Series {
  readonly local: SeriesEnd
  /** As fields of a point of a sum. */
  readonly attributes: Uint8Array
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

interface KnownEnd extends SeriesEnd {
  /** By the peer's key, and what sets them apart besides. */
  readonly peers: Map<string, Map<string, Known>>
}

interface Made {
  readonly shape: SeriesShape
  readonly duration: string
  readonly attributes: Attributes
}

export function createSeriesTable(limit: number): SeriesTable {
  const known = new Map<string, KnownEnd>()
  const most = limit - others
  let count = 0
  let nowMs = 0
  let folded = 0

  /** The series of these ends, where there is one or room for one. */
  function enter(
    local: OtlpEnd,
    remote: OtlpEnd,
    what: string,
    upTo: number,
    make: () => Made,
  ): Known | undefined {
    let series = known.get(local.key)?.peers.get(remote.key)?.get(what)
    if (series === undefined) {
      if (count >= upTo) return undefined
      series = add(local, remote, what, make())
    }
    series.seenMs = nowMs
    return series
  }

  function add(local: OtlpEnd, remote: OtlpEnd, what: string, { attributes, ...made }: Made): Known {
    let own = known.get(local.key)
    if (own === undefined) {
      own = { resource: attributeBytes(AttributeField.other, local.resource), peers: new Map() }
      known.set(local.key, own)
    }
    let ofPeer = own.peers.get(remote.key)
    if (ofPeer === undefined) {
      ofPeer = new Map()
      own.peers.set(remote.key, ofPeer)
    }
    const series: Known = {
      ...made,
      local: own,
      attributes: attributeBytes(AttributeField.sum, attributes),
      seenMs: nowMs,
    }
    ofPeer.set(what, series)
    count++
    return series
  }

  function forgetSilent(): void {
    for (const [key, { peers }] of known) {
      for (const [peer, all] of peers) {
        for (const [what, { seenMs }] of all) {
          if (nowMs - seenMs <= forgetMs) continue
          all.delete(what)
          count--
        }
        if (all.size === 0) peers.delete(peer)
      }
      if (peers.size === 0) known.delete(key)
    }
  }

  function operationOf(
    local: OtlpEnd,
    remote: OtlpEnd,
    port: number,
    seen: OperationSeen,
    upTo: number,
  ): Known | undefined {
    const { isServer, protocol, name, host, status, outcome } = seen
    const what = `${isServer ? 's' : 'c'}${protocol} ${port} ${status ?? ''} ${outcome} ${name}\n${host}`
    return enter(local, remote, what, upTo, () => {
      const { duration, attributes } = operationNames(seen)
      const place = isServer ? [] : serverPlace(remote, host, port)
      return {
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
      const what = `${isServer ? 's' : 'c'} ${shape.name}`
      const make = (own: OtlpEnd, peer: OtlpEnd, upTo: number) =>
        enter(own, peer, what, upTo, () => ({ shape, duration: '', attributes: peerOf(peer, isServer) }))
      const found = make(local, remote, most * shares.peers)
      if (found !== undefined) return found
      folded++
      return make(local, otherEnd, most) ?? make(otherEnd, otherEnd, Number.POSITIVE_INFINITY)!
    },
    forget(atMs) {
      nowMs = atMs
      forgetSilent()
    },
    counts: () => ({ series: count, limit, folded }),
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
