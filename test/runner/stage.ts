import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { fromExit, fromNativeTests, nothing, type Tally } from './tally.ts'
import { type FileResult, failuresOf, readReport, tallyOf } from './vitest-report.ts'

export interface Stage {
  readonly title: string
  /** Why this machine cannot run it; undefined if it can. */
  readonly skip?: string | undefined
  run(): Promise<Result>
}

interface Result {
  readonly tally: Tally
  /** A line each. */
  readonly failures: readonly string[]
  /** What failed at first and passed when its file ran once more, alone: a line each. */
  readonly passedAgain?: readonly string[]
}

export interface Outcome extends Result {
  readonly title: string
  readonly seconds: number
  readonly skip?: string | undefined
}

const reports = '.cache/test'

export function check(title: string, ...command: [string, ...string[]]): Stage {
  return counted(title, command, (_, status) => fromExit(status))
}

export function nativeTests(title: string, ...command: [string, ...string[]]): Stage {
  return counted(title, command, fromNativeTests)
}

/** As `check`, with what others leave of the processors; its output comes when it has ended. */
export function checkBeside(title: string, ...command: [string, ...string[]]): Stage {
  return counted(title, ['nice', '-n', '19', ...command], (_, status) => fromExit(status), showAfterwards)
}

function counted(
  title: string,
  command: readonly [string, ...string[]],
  count: (output: string, status: number | null) => Tally,
  shown = show,
): Stage {
  return {
    title,
    async run() {
      const { output, status } = await shown(title, command)
      const tally = count(output, status)
      return { tally, failures: tally.failed > 0 ? [`${command.join(' ')}: exit code ${status}`] : [] }
    },
  }
}

export function vitest(title: string, project: string, skip?: string): Stage {
  return {
    title,
    skip,
    async run() {
      const { results, status } = await files(title, project, [])
      return { tally: tallyOf(results, status), failures: failuresOf(results, status) }
    },
  }
}

/**
 * Tests of what runs in real time (a kernel, servers, a cluster). A few files that failed run once more, alone, so that a
 * host that stood still for seconds is told apart from a defect; both are said at the end, with the first reason.
 */
export function vitestInRealTime(title: string, project: string, skip?: string): Stage {
  return {
    title,
    skip,
    async run() {
      const first = await files(title, project, [])
      const failed = first.results.filter(result => result.failed).map(result => result.file)
      if (failed.length === 0 || failed.length > mostAgain) {
        return {
          tally: tallyOf(first.results, first.status),
          failures: failuresOf(first.results, first.status),
        }
      }
      const second = await files(`${title}, once more`, project, failed)
      const kept = first.results.filter(result => !result.failed)
      const failures = failuresOf(second.results, second.status)
      return {
        tally: tallyOf([...kept, ...second.results], second.status),
        failures,
        passedAgain: failures.length === 0 ? failuresOf(first.results, first.status) : [],
      }
    },
  }
}

/** More failed files than this are no accident. */
const mostAgain = 2

async function files(title: string, project: string, only: readonly string[]) {
  const report = `${reports}/${project}.json`
  rmSync(report, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const command = ['vitest', 'run', '--project', project, ...only, ...reporters] as const
  const { status } = await show(title, command)
  const results: readonly FileResult[] = existsSync(report)
    ? readReport(readFileSync(report, 'utf8'), process.cwd())
    : [{ file: command.join(' '), failed: true, message: `exit code ${status}`, tests: [] }]
  return { results, status }
}

/** Runs a stage, its output shown as it comes. */
export async function run(stage: Stage): Promise<Outcome> {
  const { title, skip } = stage
  if (skip !== undefined) return { title, skip, tally: { ...nothing, skipped: 1 }, failures: [], seconds: 0 }
  const begun = performance.now()
  return { ...(await stage.run()), title, seconds: (performance.now() - begun) / 1000 }
}

type Shown = (
  title: string,
  command: readonly [string, ...string[]],
) => Promise<{ output: string; status: number | null }>

const heading = (title: string, command: readonly string[]) => `\n== ${title}: ${command.join(' ')}\n`

const show: Shown = (title, command) => {
  process.stdout.write(heading(title, command))
  return follow(command, chunk => process.stdout.write(chunk))
}

const showAfterwards: Shown = async (title, command) => {
  process.stdout.write(`\n== ${title}: begins, beside what follows\n`)
  const ended = await follow(command, () => undefined)
  process.stdout.write(`${heading(title, command)}${ended.output}`)
  return ended
}

function follow([program, ...args]: readonly [string, ...string[]], see: (chunk: Buffer) => void) {
  return new Promise<{ output: string; status: number | null }>(resolve => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk: Buffer) => {
      see(chunk)
      output += chunk.toString()
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', error => resolve({ output: `${output}${error.message}\n`, status: -1 }))
    child.on('close', status => resolve({ output, status }))
  })
}
