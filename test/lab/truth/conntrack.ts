import type { Lab } from '../lab.ts'

export interface Tuple {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  /** Since the entry was made; IP headers included. */
  readonly packets: number
  readonly bytes: number
}

export interface ConntrackEntry {
  readonly protocol: string
  readonly state: string
  readonly original: Tuple
  /** As answers travel: shows where the connection was redirected to. */
  readonly reply: Tuple
}

/** Connections a node tracks, with packet and byte counters. */
export async function conntrack(lab: Lab, node: string): Promise<ConntrackEntry[]> {
  const families = await Promise.all(
    ['ipv4', 'ipv6'].map(family =>
      lab.inspect(node, ['conntrack', '-L', '-f', family], { allowFailure: true }),
    ),
  )
  return families.flatMap(({ stdout }) => parseConntrack(stdout))
}

export function parseConntrack(text: string): ConntrackEntry[] {
  return text
    .split('\n')
    .filter(line => line.includes('src='))
    .map(line => {
      const fields = line.trim().split(/\s+/)
      const second = line.indexOf('src=', line.indexOf('src=') + 4)
      return {
        protocol: fields[0]!,
        state: fields[0] === 'tcp' ? fields[3]! : '',
        original: tuple(line.slice(0, second)),
        reply: tuple(line.slice(second)),
      }
    })
}

function tuple(text: string): Tuple {
  const value = (name: string) => new RegExp(`${name}=(\\S+)`).exec(text)?.[1] ?? ''
  return {
    source: value('src'),
    sourcePort: Number(value('sport')),
    destination: value('dst'),
    destinationPort: Number(value('dport')),
    packets: Number(value('packets')),
    bytes: Number(value('bytes')),
  }
}
