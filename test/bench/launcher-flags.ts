import { readFileSync } from 'node:fs'

/** The flags of Node with which scripts/skybraid.sh starts a command. */
export function launcherFlags(command: 'collector' | 'aggregator'): string[] {
  const script = readFileSync(new URL('../../scripts/skybraid.sh', import.meta.url), 'utf8')
  const after = script.slice(script.indexOf(`== ${command} ]]`))
  const flags = /node_flags=\((--[^)]+)\)/.exec(after)?.[1]
  if (flags === undefined) throw new Error(`scripts/skybraid.sh has no flags for ${command}`)
  return flags.split(' ')
}
