/** The figures of `iperf3 --json` that a test compares. */
export interface IperfResult {
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly retransmits: number
  readonly seconds: number
  readonly localPorts: readonly number[]
}

export function parseIperf(text: string): IperfResult {
  const json = JSON.parse(text) as {
    error?: string
    start: { connected: { local_port: number }[] }
    end: {
      sum_sent: { bytes: number; retransmits?: number; seconds: number }
      sum_received: { bytes: number }
    }
  }
  if (json.error) throw new Error(`iperf3: ${json.error}`)
  return {
    bytesSent: json.end.sum_sent.bytes,
    bytesReceived: json.end.sum_received.bytes,
    retransmits: json.end.sum_sent.retransmits ?? 0,
    seconds: json.end.sum_sent.seconds,
    localPorts: json.start.connected.map(c => c.local_port),
  }
}
