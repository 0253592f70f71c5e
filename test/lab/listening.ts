import { readFile } from 'node:fs/promises'

/**
 * Ports on which a namespace listens (TCP) or has bound a socket (UDP), read from a process inside it: no connection is
 * made, so the wait for a server leaves no trace in what is measured.
 */
export async function boundPorts(pid: number, protocol: 'tcp' | 'udp'): Promise<Set<number>> {
  const ports = new Set<number>()
  for (const family of [protocol, `${protocol}6`]) {
    const text = await readFile(`/proc/${pid}/net/${family}`, 'utf8').catch(() => '')
    for (const line of text.split('\n').slice(1)) {
      const [, local, , state] = line.trim().split(/\s+/)
      if (local !== undefined && (protocol === 'udp' || state === '0A'))
        ports.add(Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16))
    }
  }
  return ports
}
