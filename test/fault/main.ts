import { readFileSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { describeMachine, type Machine } from '../bench/machine.ts'
import { type Run, reliabilityPage } from './report.ts'
import type { Scenario, Size } from './scenario.ts'
import { scenarios } from './scenarios.ts'

const usage = `npm run test:fault -- [--short] [--only REGEX] [--write]
  --short  the sizes that npm test uses
  --only   only scenarios whose name matches
  --write  put the results into docs/reliability.md
`

async function runOne(scenario: Scenario, size: Size): Promise<Run> {
  const { name } = scenario
  const fault = scenario.fault(size)
  const date = new Date().toISOString().slice(0, 10)
  const head = { name, fault, size, date }
  const obstacle = scenario.obstacle?.()
  if (obstacle !== undefined) return { ...head, seconds: 0, load: 0, findings: [], skipped: obstacle }
  const begun = performance.now()
  const load = () => loadavg()[0]!
  const seconds = () => (performance.now() - begun) / 1_000
  try {
    const findings = await scenario.run(size)
    return { ...head, seconds: seconds(), load: load(), findings }
  } catch (error) {
    // one that breaks must not hide the others
    const seen = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return {
      ...head,
      seconds: seconds(),
      load: load(),
      findings: [{ what: 'runs to its end', seen, holds: false }],
    }
  }
}

function show({ name, fault, seconds, load, findings, skipped }: Run): void {
  process.stdout.write(`\n${name}: ${fault} (${seconds.toFixed(0)} s, load ${load.toFixed(1)})\n`)
  if (skipped !== undefined) process.stdout.write(`  skipped: ${skipped}\n`)
  for (const { what, seen, holds, detail } of findings) {
    process.stdout.write(`  ${holds ? 'holds ' : 'BROKEN'}  ${what}: ${seen}\n`)
    if (!holds && detail !== undefined) process.stdout.write(`${detail}\n`)
  }
}

const pagePath = new URL('../../docs/reliability.md', import.meta.url)

function write(run: Run, machine: Machine): void {
  const names = scenarios.map(({ name }) => name)
  writeFileSync(pagePath, reliabilityPage([run], machine, names, readFileSync(pagePath, 'utf8')))
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean' },
      only: { type: 'string' },
      write: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return void process.stdout.write(usage)
  const only = new RegExp(values.only ?? '', 'i')
  const size: Size = values.short ? 'short' : 'full'
  const machine = describeMachine()
  const runs: Run[] = []
  for (const scenario of scenarios.filter(({ name }) => only.test(name))) {
    const run = await runOne(scenario, size)
    runs.push(run)
    show(run)
    // one after the other, so that what was seen stays when a later one is interrupted
    if (values.write) write(run, machine)
  }
  const broken = runs.filter(({ findings }) => findings.some(({ holds }) => !holds))
  process.stdout.write(`\n${runs.length} scenarios, ${broken.length} broken\n`)
  process.exitCode = broken.length > 0 ? 1 : 0
}

await main()
