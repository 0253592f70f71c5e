import { runCommand } from '../run-command.ts'

/** What was asked last on a connection or flow and its answer, as their first packets passed the device. */
export interface CapturedExchange {
  readonly serverPort: number
  readonly clientPort: number
  readonly us: number
}

const fields = ['frame.time_epoch', 'tcp.srcport', 'tcp.dstport', 'tcp.len', 'udp.srcport', 'udp.dstport']

/** Of every connection and flow of a capture with one of these servers, where an answer came. */
export async function readExchanges(
  file: string,
  serverPorts: readonly number[],
): Promise<CapturedExchange[]> {
  const argv = ['tshark', '-r', file, '-n', '-T', 'fields', ...fields.flatMap(name => ['-e', name])]
  const { stdout } = await runCommand(argv)
  const asked = new Map<string, bigint>()
  const answered = new Map<string, CapturedExchange>()
  for (const line of stdout.split('\n').filter(text => text.trim() !== '')) {
    const [time, tcpFrom, tcpTo, tcpLength, udpFrom, udpTo] = line.split('\t')
    if (tcpLength === '0') continue
    const [from, to] = [Number(tcpFrom || udpFrom), Number(tcpTo || udpTo)]
    const isRequest = serverPorts.includes(to)
    const [serverPort, clientPort] = isRequest ? [to, from] : [from, to]
    const key = `${serverPort} ${clientPort}`
    const ns = nanoseconds(time!)
    const begun = asked.get(key)
    if (isRequest) {
      if (begun === undefined) asked.set(key, ns)
    } else if (begun !== undefined) {
      answered.set(key, { serverPort, clientPort, us: Number(ns - begun) / 1000 })
      asked.delete(key)
    }
  }
  return [...answered.values()]
}

function nanoseconds(epoch: string): bigint {
  const [seconds, fraction = ''] = epoch.split('.')
  return BigInt(seconds!) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
}
