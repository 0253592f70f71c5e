import { readFile } from 'node:fs/promises'

/** One finished request as nginx saw it. Over plain HTTP its lengths are the bytes of the TCP stream. */
export interface NginxRequest {
  /** nginx's serial number of the connection. */
  readonly connection: number
  readonly request: number
  readonly remote: string
  readonly remotePort: number
  readonly serverPort: number
  readonly method: string
  readonly uri: string
  readonly status: number
  readonly requestLength: number
  readonly bytesSent: number
  readonly seconds: number
  readonly upstreamSent: string
  readonly upstreamReceived: string
}

/** Reads an access log with one JSON object a line; a line that is still being written is left out. */
export async function readNginxLog(path: string): Promise<NginxRequest[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const lines = text.split('\n')
  lines.pop()
  return lines.filter(line => line !== '').map(line => JSON.parse(line) as NginxRequest)
}

/** Connections and bytes of a list of requests. */
export function nginxTotals(requests: readonly NginxRequest[]) {
  return {
    requests: requests.length,
    connections: new Set(requests.map(r => r.connection)).size,
    bytesReceived: requests.reduce((sum, r) => sum + r.requestLength, 0),
    bytesSent: requests.reduce((sum, r) => sum + r.bytesSent, 0),
  }
}
