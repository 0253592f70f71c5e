import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { fromExit, fromNativeTests, fromVitest, nothing, type Tally } from './tally.ts'

export interface Stage {
  readonly title: string
  readonly command: readonly [string, ...string[]]
  /** Why this machine cannot run it; undefined if it can. */
  readonly skip?: string | undefined
  readonly count: (output: string, status: number | null) => Tally
}

export interface Outcome {
  readonly title: string
  readonly tally: Tally
  readonly seconds: number
  readonly skip?: string | undefined
}

const reports = '.cache/test'

export function check(title: string, ...command: [string, ...string[]]): Stage {
  return { title, command, count: (_, status) => fromExit(status) }
}

export function nativeTests(title: string, ...command: [string, ...string[]]): Stage {
  return { title, command, count: fromNativeTests }
}

export function vitest(title: string, project: string, skip?: string): Stage {
  const report = `${reports}/${project}.json`
  rmSync(report, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  return {
    title,
    skip,
    command: ['vitest', 'run', '--project', project, ...reporters],
    count: (_, status) =>
      existsSync(report) ? fromVitest(readFileSync(report, 'utf8'), status) : { ...nothing, failed: 1 },
  }
}

/** Runs a stage, its output shown as it comes. */
export async function run(stage: Stage): Promise<Outcome> {
  const { title, skip } = stage
  if (skip !== undefined) return { title, skip, tally: { ...nothing, skipped: 1 }, seconds: 0 }
  process.stdout.write(`\n== ${title}: ${stage.command.join(' ')}\n`)
  const begun = performance.now()
  const { output, status } = await follow(stage.command)
  return { title, tally: stage.count(output, status), seconds: (performance.now() - begun) / 1000 }
}

function follow([program, ...args]: readonly [string, ...string[]]) {
  return new Promise<{ output: string; status: number | null }>(resolve => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk: Buffer) => {
      process.stdout.write(chunk)
      output += chunk.toString()
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', error => resolve({ output: `${output}${error.message}\n`, status: -1 }))
    child.on('close', status => resolve({ output, status }))
  })
}
