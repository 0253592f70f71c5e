import { runCommand } from '../run-command.ts'

/** When segments of a connection's beginning first passed the device of a capture, in Unix nanoseconds. */
export interface CapturedHandshake {
  readonly serverPort: number
  readonly syn: bigint
  readonly synAck: bigint
  readonly ack: bigint
}

const fields = ['tcp.stream', 'frame.time_epoch', 'tcp.dstport', 'tcp.flags.syn', 'tcp.flags.ack']

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
    const [stream, time, port, syn, ack] = line.split('\t') as [string, string, string, string, string]
    const known = streams.get(stream) ?? {}
    const kind = isSet(syn) ? (isSet(ack) ? 'synAck' : 'syn') : 'ack'
    // the first that is no SYN goes to the server: it is the end of the handshake
    streams.set(stream, {
      [kind]: nanoseconds(time),
      ...(kind === 'syn' && { serverPort: Number(port) }),
      ...known,
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
