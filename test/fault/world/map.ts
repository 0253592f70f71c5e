import type { Owner } from '../../../packages/shared/src/index.ts'

export interface MapSettings {
  readonly nodes: number
  /** Names begin with it, so that several maps do not meet. */
  readonly prefix: string
  /** Number of the first node in addresses, likewise. */
  readonly firstHost: number
  /** TCP services, spread over the nodes. Their edges: every service times `callersPerService`. */
  readonly services: number
  readonly callersPerService: number
  readonly udpServices: number
  /** Addresses outside that are dialled successfully, and as many that never answer. */
  readonly outsiders: number
}

export const EdgeKind = { tcp: 0, udp: 1, outside: 2, unanswered: 3 } as const

/** Who talks to whom. `server` is -1 outside. */
export interface MapEdge {
  readonly kind: number
  readonly client: number
  readonly clientOwner: number
  readonly server: number
  readonly serverOwner: number
  readonly port: number
  /** Numbers of the nodes in addresses. */
  readonly clientHost: number
  readonly serverHost: number
  /** What the client dials, as a little-endian word; 0 for the server's own address. */
  readonly dialled: number
  readonly dialledPort: number
  /** What the server sees instead of the client's own address; 0 if nothing rewrites it. */
  readonly seenAs: number
  readonly name: string
  /** What it is called while, or because, only one end reports it. */
  readonly oneSided: readonly string[]
}

export interface WorldMap {
  readonly nodes: readonly string[]
  /** By node. */
  readonly owners: readonly (readonly Owner[])[]
  readonly edges: readonly MapEdge[]
  /** Edge numbers of one kind. */
  readonly ofKind: readonly (readonly number[])[]
}

const programsPerNode = 3

/** The name by which the judge knows an edge: of the API's answer or of the truth. */
export function edgeName(edge: {
  readonly source: string
  readonly target: string
  readonly protocol: string
  readonly port: number
  readonly via?: string
}): string {
  const via = edge.via === undefined ? '' : ` via ${edge.via}`
  return `${edge.source} > ${edge.target}:${edge.port}/${edge.protocol}${via}`
}

export function createMap(settings: MapSettings): WorldMap {
  const { nodes: count, prefix, services, udpServices, outsiders } = settings
  if (count < 2) throw new RangeError('a world has at least two nodes')
  const nodes = Array.from({ length: count }, (_, n) => `${prefix}${n}`)
  const owners: Owner[][] = nodes.map(() =>
    Array.from({ length: programsPerNode }, (_, p) => ownerOf(`app-${p}`)),
  )
  const edges: MapEdge[] = []
  const callers = Math.min(settings.callersPerService, (count - 1) * programsPerNode)
  for (let s = 0; s < services + udpServices; s++) {
    const isUdp = s >= services
    const server = s % count
    const process = isUdp ? `udp-${s}` : `svc-${s}`
    const serverOwner = owners[server].push(ownerOf(process)) - 1
    for (let c = 0; c < callers; c++) {
      const client = (server + 1 + (c % (count - 1))) % count
      const clientOwner = Math.floor(c / (count - 1))
      edges.push(
        innerEdge(nodes, settings.firstHost, {
          isUdp,
          s,
          c,
          client,
          clientOwner,
          server,
          serverOwner,
          process,
        }),
      )
    }
  }
  for (let o = 0; o < outsiders; o++) {
    edges.push(
      outerEdge(nodes, settings.firstHost, EdgeKind.outside, o),
      outerEdge(nodes, settings.firstHost, EdgeKind.unanswered, o),
    )
  }
  const ofKind = Object.values(EdgeKind).map(kind =>
    edges.flatMap((edge, index) => (edge.kind === kind ? [index] : [])),
  )
  return { nodes, owners, edges, ofKind }
}

interface Inner {
  readonly isUdp: boolean
  readonly s: number
  readonly c: number
  readonly client: number
  readonly clientOwner: number
  readonly server: number
  readonly serverOwner: number
  readonly process: string
}

function innerEdge(nodes: readonly string[], firstHost: number, inner: Inner): MapEdge {
  const { isUdp, s, c, client, clientOwner, server, serverOwner, process } = inner
  const port = 2_000 + (s % 30_000)
  const hasVia = !isUdp && s % 3 === 0
  const serviceBytes = [10, 96, (s >> 8) & 0xff, s & 0xff] as const
  const source = `host/${nodes[client]}/-/app-${clientOwner}`
  const target = `host/${nodes[server]}/-/${process}`
  const protocol = isUdp ? 'udp' : 'tcp'
  const via = hasVia ? { via: `${serviceBytes.join('.')}:80` } : {}
  const dialled = hasVia ? `outside/${serviceBytes.join('.')}` : `host/${nodes[server]}`
  const clientHost = firstHost + client
  const snat = [100, 64, (clientHost >> 8) & 0xff, clientHost & 0xff] as const
  const isSeenAs = !isUdp && c % 2 === 1
  const seenAs = isSeenAs ? `outside/${snat.join('.')}` : `host/${nodes[client]}`
  return {
    kind: isUdp ? EdgeKind.udp : EdgeKind.tcp,
    client,
    clientOwner,
    server,
    serverOwner,
    port,
    clientHost,
    serverHost: firstHost + server,
    dialled: hasVia ? addressWord(...serviceBytes) : 0,
    dialledPort: hasVia ? 80 : port,
    seenAs: isSeenAs ? addressWord(...snat) : 0,
    name: edgeName({ source, target, protocol, port, ...via }),
    oneSided: [
      edgeName({ source, target: dialled, protocol, port: hasVia ? 80 : port }),
      edgeName({ source: seenAs, target, protocol, port }),
      // an address is a node's only once that node reported it, and those records may be the ones that are lost
      ...clientAddresses(clientHost).map(address =>
        edgeName({ source: `outside/${address}`, target, protocol, port }),
      ),
      edgeName({ source, target: `outside/${serverAddress(firstHost + server)}`, protocol, port }),
    ],
  }
}

/** The first of those that a node's programs dial from: one for every 28,000 connections. */
function clientAddresses(host: number): string[] {
  return Array.from({ length: 16 }, (_, n) => `10.${host >> 8}.${host & 0xff}.${n + 1}`)
}

function serverAddress(host: number): string {
  return `10.${128 + (host >> 8)}.${host & 0xff}.1`
}

function outerEdge(nodes: readonly string[], firstHost: number, kind: number, o: number): MapEdge {
  const client = o % nodes.length
  const clientOwner = o % programsPerNode
  const [a, b, c] = kind === EdgeKind.outside ? [203, 0, 113] : [198, 51, 100]
  const d = o & 0xff
  const port = kind === EdgeKind.outside ? 443 : 9
  const source = `host/${nodes[client]}/-/app-${clientOwner}`
  return {
    kind,
    client,
    clientOwner,
    server: -1,
    serverOwner: 0,
    port,
    clientHost: firstHost + client,
    serverHost: 0,
    dialled: addressWord(a, b, c, d),
    dialledPort: port,
    seenAs: 0,
    name: edgeName({ source, target: `outside/${a}.${b}.${c}.${d}`, protocol: 'tcp', port }),
    oneSided: [],
  }
}

function ownerOf(process: string): Owner {
  return { process, cgroup: `/${process}`, podUid: '', containerId: '', unit: '', pid: 0 }
}

/** An IPv4 address as it stands in a column. */
export function addressWord(a: number, b: number, c: number, d: number): number {
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0
}
