import { existsSync, readFileSync } from 'node:fs'
import { delimiter } from 'node:path'

const tools = [
  'ip',
  'nft',
  'ss',
  'nsenter',
  'nginx',
  'curl',
  'conntrack',
  'tcpdump',
  'tshark',
  'ethtool',
  'gcc',
]

/** Why the lab can't run on this machine, empty when it can. */
export function whyNoLab(): string {
  if (process.getuid?.() !== 0) return '(skipped: needs root)'
  if (!/ cgroup2 /.test(readFileSync('/proc/self/mounts', 'utf8'))) return '(skipped: no cgroup2 mount)'
  const directories = (process.env.PATH ?? '').split(delimiter)
  const missing = tools.filter(tool => !directories.some(directory => existsSync(`${directory}/${tool}`)))
  return missing.length > 0 ? `(skipped: not installed: ${missing.join(', ')})` : ''
}
