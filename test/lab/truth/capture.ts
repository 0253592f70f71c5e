import type { Lab } from '../lab.ts'
import { runCommand } from '../run-command.ts'
import { until } from '../until.ts'

/** One direction of one TCP connection or UDP flow as a capture shows it. */
export interface CapturedFlow {
  readonly protocol: 'tcp' | 'udp'
  readonly from: string
  readonly to: string
  packets: number
  payloadBytes: number
  dataPackets: number
  syns: number
  fins: number
  resets: number
}

/** Captures what passes a device of a target until `stop`, which returns the flows by direction. */
export async function startCapture(lab: Lab, target: string, device: string, filter = 'tcp or udp') {
  const file = `${lab.directory}/capture-${target}-${device}-${Date.now()}.pcap`
  const argv = [
    'tcpdump',
    '-i',
    device,
    '--immediate-mode',
    '-s',
    '128',
    '-U',
    '-w',
    file,
    '-Z',
    'root',
    filter,
  ]
  const child = await lab.spawn(target, argv, { unit: 'capture' })
  await until('tcpdump listening', () => child.stderr.includes('listening on'), {
    describe: () => child.stderr,
  })
  return {
    file,
    stop: async (): Promise<CapturedFlow[]> => {
      await child.stop('SIGINT')
      return readCapture(file)
    },
  }
}

const fields = [
  'ip.src',
  'ip.dst',
  'ipv6.src',
  'ipv6.dst',
  'tcp.srcport',
  'tcp.dstport',
  'udp.srcport',
  'udp.dstport',
]
const figures = ['tcp.len', 'udp.length', 'tcp.flags.syn', 'tcp.flags.fin', 'tcp.flags.reset']

export async function readCapture(file: string): Promise<CapturedFlow[]> {
  const names = [...fields, ...figures].flatMap(name => ['-e', name])
  const { stdout } = await runCommand([
    'tshark',
    '-r',
    file,
    '-n',
    '-T',
    'fields',
    '-E',
    'occurrence=f',
    ...names,
  ])
  const flows = new Map<string, CapturedFlow>()
  for (const line of stdout.split('\n')) if (line.trim() !== '') add(flows, line.split('\t'))
  return [...flows.values()]
}

function add(flows: Map<string, CapturedFlow>, values: readonly string[]): void {
  const [v4s, v4d, v6s, v6d, tcpS, tcpD, udpS, udpD, tcpLength, udpLength, syn, fin, reset] = values
  const protocol = tcpS ? 'tcp' : 'udp'
  const from = `${v4s || v6s}:${tcpS || udpS}`
  const to = `${v4d || v6d}:${tcpD || udpD}`
  const key = `${protocol} ${from} ${to}`
  let flow = flows.get(key)
  if (!flow) {
    flow = { protocol, from, to, packets: 0, payloadBytes: 0, dataPackets: 0, syns: 0, fins: 0, resets: 0 }
    flows.set(key, flow)
  }
  const payload = protocol === 'tcp' ? Number(tcpLength) : Number(udpLength) - 8
  flow.packets++
  flow.payloadBytes += payload
  if (payload > 0) flow.dataPackets++
  if (isSet(syn)) flow.syns++
  if (isSet(fin)) flow.fins++
  if (isSet(reset)) flow.resets++
}

// tshark prints booleans as 1 or True, by version
const isSet = (value: string | undefined) => value === '1' || value === 'True'
