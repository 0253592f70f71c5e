import { runCommand } from '../run-command.ts'

/** When segments of a connection's beginning first passed the device of a capture, in Unix nanoseconds. */
export interface CapturedHandshake {
  readonly serverPort: number
  readonly syn: bigint
  readonly synAck: bigint
  readonly ack: bigint
  /** The server's first segment with payload, and its last with FIN. */
  readonly reply?: bigint
  readonly serverFin?: bigint
}

const fields = [
  'tcp.stream',
  'frame.time_epoch',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.flags.syn',
  'tcp.flags.ack',
  'tcp.flags.fin',
  'tcp.len',
]

type Fields = [time: string, from: string, to: string, syn: string, ack: string, fin: string, length: string]

/** Of every connection in a capture that opened in it. */
export async function readHandshakes(file: string): Promise<CapturedHandshake[]> {
  const argv = [
    'tshark',
    '-r',
    file,
    '-n',
    '-Y',
    'tcp',
    '-T',
    'fields',
    ...fields.flatMap(name => ['-e', name]),
  ]
  const { stdout } = await runCommand(argv)
  const streams = new Map<string, Partial<CapturedHandshake>>()
  for (const line of stdout.split('\n').filter(text => text.trim() !== '')) {
    const [stream, time, from, to, syn, ack, fin, length] = line.split('\t') as [string, ...Fields]
    const known = streams.get(stream) ?? {}
    const kind = isSet(syn) ? (isSet(ack) ? 'synAck' : 'syn') : 'ack'
    const at = nanoseconds(time)
    const isServers = Number(from) === known.serverPort
    // the first that is no SYN goes to the server: it is the end of the handshake
    streams.set(stream, {
      [kind]: at,
      ...(kind === 'syn' && { serverPort: Number(to) }),
      ...(isServers && Number(length) > 0 && { reply: at }),
      ...known,
      ...(isServers && isSet(fin) && { serverFin: at }),
    })
  }
  return [...streams.values()].filter(
    (each): each is CapturedHandshake =>
      each.syn !== undefined && each.synAck !== undefined && each.ack !== undefined,
  )
}

// tshark prints booleans as 1 or True, by version
const isSet = (value: string) => value === '1' || value === 'True'

function nanoseconds(epoch: string): bigint {
  const [seconds, fraction = ''] = epoch.split('.')
  return BigInt(seconds!) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
}
