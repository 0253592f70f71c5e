/**
 * Faults on the way, always in a forward or input chain and never in the sender's output chain: there the transmit
 * call itself fails, which is another event than a lost packet.
 */
export interface FaultSpec {
  /** Node (or `outside`) whose chain applies it. */
  readonly on: string
  readonly hook?: 'forward' | 'input'
  /** Addresses after NAT of the destination and before NAT of the source, v4 or v6. */
  readonly from?: string
  readonly to?: string
  readonly protocol?: 'tcp' | 'udp'
  readonly toPort?: number
  readonly fromPort?: number
  /** `data`: segments longer than any bare acknowledgement; needs writes of more than 48 bytes. */
  readonly packets?: 'all' | 'syn' | 'synAck' | 'data' | 'established'
  readonly hit?:
    | { readonly percent: number }
    | { readonly every: number }
    | { readonly first: number }
    | 'all'
  readonly answer?:
    | 'drop'
    | 'tcpReset'
    | 'hostUnreachable'
    | 'netUnreachable'
    | 'portUnreachable'
    | 'prohibited'
}

const packetMatches = {
  all: '',
  syn: 'tcp flags & (syn | ack) == syn',
  synAck: 'tcp flags & (syn | ack) == (syn | ack)',
  established: 'tcp flags & syn != syn',
  data: 'meta length > 100',
}
const answers = {
  drop: 'drop',
  tcpReset: 'reject with tcp reset',
  hostUnreachable: 'reject with icmpx type host-unreachable',
  netUnreachable: 'reject with icmpx type no-route',
  portUnreachable: 'reject with icmpx type port-unreachable',
  prohibited: 'reject with icmpx type admin-prohibited',
}

export const faultTable = (number: number) => `skybraid_fault_${number}`

/** One table per fault, with one rule and one named counter `hits`. */
export function faultRules(number: number, fault: FaultSpec): string {
  const parts = [
    address('saddr', fault.from),
    address('daddr', fault.to),
    `meta l4proto ${fault.protocol ?? 'tcp'}`,
    fault.toPort === undefined ? '' : `th dport ${fault.toPort}`,
    fault.fromPort === undefined ? '' : `th sport ${fault.fromPort}`,
    packetMatches[fault.packets ?? 'all'],
    chance(fault.hit ?? 'all'),
    'counter name hits',
    answers[fault.answer ?? 'drop'],
  ]
  const rule = parts.filter(p => p !== '').join(' ')
  return `table inet ${faultTable(number)} {
  counter hits { }
  chain fault {
    type filter hook ${fault.hook ?? 'forward'} priority ${10 + number};
    ${rule}
  }
}
`
}

function address(which: 'saddr' | 'daddr', value: string | undefined): string {
  if (value === undefined) return ''
  return `${value.includes(':') ? 'ip6' : 'ip'} ${which} ${value}`
}

function chance(hit: NonNullable<FaultSpec['hit']>): string {
  if (hit === 'all') return ''
  if ('percent' in hit) return `numgen random mod 10000 < ${Math.round(hit.percent * 100)}`
  if ('every' in hit) return `numgen inc mod ${hit.every} 0`
  // the generator starts at 0 and would begin again only after 2^31 packets
  return `numgen inc mod 2147483648 < ${hit.first}`
}
