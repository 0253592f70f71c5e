import { existsSync, globSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Lab } from '../lab/lab.ts'
import { type Measurement, reaches } from './figure.ts'
import { describeMachine } from './machine.ts'
import { machineLine, performancePage, type Result, terminalLine } from './report.ts'

const usage = `npm run bench -- [--json] [--only REGEX] [--write]
  --json   one JSON object a line per figure
  --only   only measurements that yield a figure whose name matches
  --write  put the results into docs/performance.md (whole runs only)
`

/** Every `*.figures.ts` here exports its measurements as `measurements`. */
async function allMeasurements(): Promise<Measurement[]> {
  const folder = new URL('./', import.meta.url)
  const files = globSync('*.figures.ts', { cwd: fileURLToPath(folder) }).sort()
  const modules = await Promise.all(files.map(file => import(new URL(file, folder).href)))
  return modules.flatMap(module => module.measurements as Measurement[])
}

function kernelObstacle(): string | undefined {
  if (process.geteuid?.() !== 0) return 'needs root'
  return existsSync('/sys/kernel/btf/vmlinux') ? undefined : 'needs a kernel with BTF'
}

/** The measurement that is under way. */
let running: Measurement | undefined

async function runOne(measurement: Measurement): Promise<readonly Result[]> {
  const { names, kernel, measure } = measurement
  const obstacle = kernel ? kernelObstacle() : undefined
  if (obstacle !== undefined) return names.map(name => ({ name, skipped: obstacle }))
  running = measurement
  try {
    const results = await measure()
    for (const result of results) {
      if ('value' in result && !Number.isFinite(result.value))
        throw new Error(`${result.name} is ${result.value}`)
    }
    return results
  } catch (error) {
    // one broken measurement must not hide the others; it fails the run below
    process.stderr.write(`${names.join(', ')}: ${error instanceof Error ? error.stack : String(error)}\n`)
    return names.map(name => ({ name, skipped: 'the measurement failed' }))
  } finally {
    running = undefined
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      only: { type: 'string' },
      write: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return void process.stdout.write(usage)
  const only = new RegExp(values.only ?? '', 'i')
  const machine = describeMachine()
  const chosen = (await allMeasurements()).filter(({ names }) => names.some(name => only.test(name)))
  if (!values.json) process.stdout.write(`${machineLine(machine)}\n`)
  const results: Result[] = []
  for (const measurement of chosen) {
    for (const result of await runOne(measurement)) {
      if (!only.test(result.name)) continue
      results.push(result)
      process.stdout.write(`${values.json ? JSON.stringify({ ...result, machine }) : terminalLine(result)}\n`)
    }
  }
  if (values.write && values.only === undefined) {
    const page = performancePage(results, machine, new Date().toISOString().slice(0, 10))
    writeFileSync(new URL('../../docs/performance.md', import.meta.url), page)
  }
  const missed = results.filter(result =>
    'skipped' in result ? result.skipped.includes('failed') : reaches(result) === false,
  )
  process.exitCode = missed.length > 0 ? 1 : 0
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const interrupted = running
    process.once('exit', () => interrupted?.cleanUp?.())
    // the programs under measurement live in the lab and go with it
    void Lab.removeOwn().finally(() => process.exit(130))
  })
}

await main()
