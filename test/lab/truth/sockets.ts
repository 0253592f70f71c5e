import type { Lab } from '../lab.ts'

/** One TCP socket as `ss -tinO` prints it; figures that ss leaves out are 0, as it does for zero. */
export interface SocketInfo {
  readonly state: string
  readonly local: string
  readonly localPort: number
  readonly remote: string
  readonly remotePort: number
  readonly bytesSent: number
  readonly bytesRetransmitted: number
  readonly bytesAcked: number
  readonly bytesReceived: number
  readonly segmentsOut: number
  readonly segmentsIn: number
  readonly dataSegmentsOut: number
  readonly dataSegmentsIn: number
  /** `retrans:now/total`: the second figure. */
  readonly retransmits: number
  readonly rttMs?: number
  readonly minRttMs?: number
}

/** TCP sockets of a target's namespace, listeners left out. */
export async function tcpSockets(lab: Lab, target: string): Promise<SocketInfo[]> {
  const { stdout } = await lab.inspect(target, ['ss', '-HtinO', 'state', 'connected'])
  return parseSockets(stdout)
}

/** Parses lines of `ss -HtinO state connected`. */
export function parseSockets(text: string): SocketInfo[] {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(parseLine)
}

function parseLine(line: string): SocketInfo {
  const fields = line.trim().split(/\s+/)
  const [state, , , local, remote] = fields as [string, string, string, string, string]
  const figure = (name: string) => Number(new RegExp(`(?:^|\\s)${name}:(\\d+)`).exec(line)?.[1] ?? 0)
  const rtt = /(?:^|\s)rtt:([\d.]+)/.exec(line)
  const minRtt = /\sminrtt:([\d.]+)/.exec(line)
  const [localAddress, localPort] = endpoint(local)
  const [remoteAddress, remotePort] = endpoint(remote)
  return {
    state,
    local: localAddress,
    localPort,
    remote: remoteAddress,
    remotePort,
    bytesSent: figure('bytes_sent'),
    bytesRetransmitted: figure('bytes_retrans'),
    bytesAcked: figure('bytes_acked'),
    bytesReceived: figure('bytes_received'),
    segmentsOut: figure('segs_out'),
    segmentsIn: figure('segs_in'),
    dataSegmentsOut: figure('data_segs_out'),
    dataSegmentsIn: figure('data_segs_in'),
    retransmits: Number(/\sretrans:\d+\/(\d+)/.exec(line)?.[1] ?? 0),
    ...(rtt ? { rttMs: Number(rtt[1]) } : {}),
    ...(minRtt ? { minRttMs: Number(minRtt[1]) } : {}),
  }
}

function endpoint(text: string): [string, number] {
  const colon = text.lastIndexOf(':')
  const address = text
    .slice(0, colon)
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/%.*$/, '')
    .replace(/^::ffff:/, '')
  return [address, Number(text.slice(colon + 1))]
}
