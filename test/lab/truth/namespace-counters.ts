import type { Lab } from '../lab.ts'

/** Counters of a network namespace since it was made, by their kernel names with the group in front. */
export type NamespaceCounters = Readonly<Record<string, number>>

/** `TcpActiveOpens`, `TcpPassiveOpens`, `TcpAttemptFails`, `TcpEstabResets`, `TcpRetransSegs`, `UdpInDatagrams`, … */
export async function namespaceCounters(lab: Lab, target: string): Promise<NamespaceCounters> {
  const { stdout } = await lab.inspect(target, [
    'cat',
    '/proc/net/snmp',
    '/proc/net/netstat',
    '/proc/net/snmp6',
  ])
  return parseCounters(stdout)
}

export function parseCounters(text: string): NamespaceCounters {
  const counters: Record<string, number> = {}
  let names: string[] = []
  for (const line of text.split('\n')) {
    const six = /^(\S+6\S*)\s+(\d+)$/.exec(line)
    if (six) {
      counters[six[1]!] = Number(six[2])
      continue
    }
    const [group, ...values] = line.split(/[: ]+/)
    if (group === undefined || values.length === 0) continue
    if (Number.isNaN(Number(values[0]))) names = values
    else for (const [i, name] of names.entries()) counters[group + name] = Number(values[i])
  }
  return counters
}

/** What was counted between two readings. */
export function counted(before: NamespaceCounters, after: NamespaceCounters): NamespaceCounters {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]))
}
