import type { Machine } from '../bench/machine.ts'
import type { Finding, Size } from './scenario.ts'

export interface Run {
  readonly name: string
  readonly fault: string
  readonly size: Size
  /** As 2026-01-31. */
  readonly date: string
  readonly seconds: number
  /** Load average at its end. */
  readonly load: number
  readonly findings: readonly Finding[]
  readonly skipped?: string
}

const introduction = `# Reliability

What happens when parts of skybraid die, hang or are cut off, as measured by \`npm run test:fault\`.

Simulated collectors invent connections and remember every one of them: both ends on different nodes, addresses rewritten on the way, openings, ends, failures, long-lived connections, retransmissions, UDP.
They are real collectors but for the kernel: the invented records come in as the addon would hand them over, and go through intake, spool and publisher to a real nats-server.
Each scenario ends with a quiet phase, after which a judge compares every counter of every edge in every minute with what was invented: no edge that nobody invented, nothing in minutes in which nobody invented anything, every counter right, or its loss counted exactly at a named place ([flow-record.md](flow-record.md#where-records-can-be-lost)).
Where records were lost, every counter of every end must be the sum of exactly those records that came.

A short form of these scenarios is part of \`npm test\`, in which a limit of time fails at three times as long, for machines of any kind; \`npm run test:fault -- --write\` runs all of them and writes this page, with \`--short\` in the short form, with \`--only\` some of them.
`

/**
 * The page with these runs. Of a scenario that is not among them, what `before` says of it stays; `names` gives the
 * order.
 */
export function reliabilityPage(
  runs: readonly Run[],
  machine: Machine,
  names: readonly string[],
  before: string,
): string {
  const where = `Measured with ${machine.cores} cores (${machine.cpu}), ${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${machine.node.replace('v', '')}, everything on one machine. Times depend on what else the machine does, so its load is told with each run; what is lost and what is counted does not.`
  const kept = sectionsOf(before)
  for (const run of runs) kept.set(titleOf(run.name), section(run))
  const sections = names.flatMap(name => kept.get(titleOf(name)) ?? [])
  return `${introduction}\n${where}\n\n${sections.join('\n')}`
}

/** What a page says of each scenario, by its title. */
function sectionsOf(page: string): Map<string, string> {
  const parts = page.split(/^(?=## )/m).slice(1)
  return new Map(parts.map(part => [part.slice(0, part.indexOf('\n')), `${part.trimEnd()}\n`]))
}

function titleOf(name: string): string {
  return `## ${name[0]!.toUpperCase()}${name.slice(1)}`
}

function section({ name, fault, size, date, seconds, load, findings, skipped }: Run): string {
  const title = `${titleOf(name)}\n\nFault: ${cell(fault)}.`
  if (skipped !== undefined) return `${title}\nNot run here: ${cell(skipped)}.\n`
  const rows = findings.map(
    ({ what, seen, holds }) => `| ${cell(what)} | ${cell(seen)} | ${holds ? 'yes' : '**no**'} |`,
  )
  const form = size === 'full' ? 'In full size' : 'In the short form'
  return `${title}\n${form}, on ${date}. The run took ${seconds.toFixed(0)} s; load average at its end: ${load.toFixed(0)}.\n\n| must hold | seen | holds |\n|---|---|---|\n${rows.join('\n')}\n`
}

function cell(text: string): string {
  return text.split('\n')[0]!.replaceAll('|', '\\|')
}
