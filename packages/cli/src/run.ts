import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import {
  formatConfig,
  formatHelp,
  formatHostPort,
  loadConfig,
  nearestName,
  SkybraidError,
} from '@skybraid/shared'
import { createConsole, type Output } from './console.ts'
import { type Demo, startDemo } from './demo.ts'
import { ExitCode } from './exit-code.ts'
import { type Screen, showLive } from './live-view.ts'
import { type NodeSpec, nodeConflict, parseNodeSpec } from './node-spec.ts'
import { type StandaloneConfig, standaloneOptions } from './options.ts'
import { findProblems } from './preflight.ts'
import { readSystemFacts, type SystemFacts } from './system-facts.ts'
import { readVersion } from './version.ts'

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: Output & Partial<Screen>
  readonly stderr: Output
}

const usage = 'skybraid standalone [options]'
const verbs = ['standalone', 'help', 'version']

/** Runs the command line and answers the exit code. Whatever goes wrong is told in plain sentences on stderr. */
export async function run(args: readonly string[], around: Surroundings): Promise<number> {
  const [first = 'standalone', ...others] = args
  const verb = first.startsWith('-') ? 'standalone' : first
  const rest = first.startsWith('-') ? args : others
  if (verb === 'version' || rest.includes('--version'))
    return print(around.stdout, `skybraid ${readVersion()}\n`)
  if (verb === 'help') return print(around.stdout, helpText())
  if (verb !== 'standalone') {
    const near = nearestName(verb, verbs)
    return complain(around, ExitCode.usage, [
      `Unknown command ${verb}${near ? `; the nearest is ${near}` : ''}; see --help.`,
    ])
  }
  const loaded = loadConfig(standaloneOptions, {
    ...(await configParser(rest)),
    args: rest,
    env: around.env,
    readFile: path => readFileSync(path, 'utf8'),
  })
  if (loaded.help) return print(around.stdout, helpText())
  if (!loaded.ok) return complain(around, ExitCode.usage, loaded.errors)
  if (loaded.printConfig) return print(around.stdout, formatConfig(standaloneOptions, loaded))
  return observe(loaded.config, around)
}

/** The YAML reader loads only where there is a file to read. */
async function configParser(args: readonly string[]): Promise<{ parseFile?: (text: string) => unknown }> {
  if (!args.some(arg => arg.startsWith('--config'))) return {}
  const { parseConfigFile } = await import('./config-file.ts')
  return { parseFile: parseConfigFile }
}

function helpText(): string {
  return `skybraid shows who talks to whom on this machine, seen from both ends.\n\n${formatHelp(standaloneOptions, usage)}`
}

function print(output: Output, text: string): number {
  output.write(text)
  return ExitCode.ok
}

function complain({ stderr }: Surroundings, code: number, sentences: readonly string[]): number {
  for (const sentence of sentences) stderr.write(`skybraid: ${sentence}\n`)
  return code
}

async function observe(config: StandaloneConfig, around: Surroundings): Promise<number> {
  const given = config.node.map(text => parseNodeSpec(text) as NodeSpec)
  const conflict = nodeConflict(given)
  if (conflict !== undefined) return complain(around, ExitCode.usage, [`${conflict}.`])
  if (config.demo && given.length > 0) {
    return complain(around, ExitCode.usage, ['--demo brings its own nodes; leave out --node.'])
  }
  const facts = await readSystemFacts(config.listen, given)
  const problems = findProblems(facts)
  if (problems.length > 0)
    return complain(
      around,
      ExitCode.cannotRun,
      problems.map(problem => problem.sentence),
    )
  const stop = stopSignal()
  let demo: Demo | undefined
  try {
    if (config.demo) demo = await startDemo()
    const nodes = demo?.nodes ?? nodesToObserve(given, facts)
    return await observeUntil(stop, config, nodes, around, demo !== undefined)
  } catch (error) {
    // SkybraidError is made for people; anything else is a bug and shows where it came from
    if (error instanceof SkybraidError) {
      const code = error.code === 'SB_CONFIG' ? ExitCode.usage : ExitCode.cannotRun
      return complain(around, code, [error.message])
    }
    return complain(around, ExitCode.failed, [
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    ])
  } finally {
    await demo?.close()
  }
}

/** Without --node the whole machine is one node. */
function nodesToObserve(given: readonly NodeSpec[], { cgroup2Root }: SystemFacts): readonly NodeSpec[] {
  if (given.length > 0 || cgroup2Root === undefined) return given
  return [{ name: hostname().slice(0, 63), cgroupPath: cgroup2Root }]
}

async function observeUntil(
  stop: Promise<string>,
  config: StandaloneConfig,
  nodes: readonly NodeSpec[],
  { stdout }: Surroundings,
  isDemo: boolean,
): Promise<number> {
  // the heavy libraries load only once it is clear that they are needed
  const { startStandalone } = await import('./standalone.ts')
  const console = createConsole(stdout, config.logLevel)
  const version = readVersion()
  console.say(
    `skybraid ${version}${isDemo ? ', demo: a small shop of real programs on two made-up nodes' : ''}`,
  )
  const standalone = await startStandalone(config, nodes, version, console, isDemo ? [demoNote] : [])
  const url = `http://${formatHostPort(standalone.aggregator.address)}`
  console.say(`API and page: ${url}   (for example ${url}/topology)`)
  const screen = stdout as Screen & Output
  const stopTable =
    stdout.isTTY && config.table
      ? showLive(screen, () => standalone.aggregator.recent(), 1_000)
      : () => undefined
  await stop
  stopTable()
  await standalone.close()
  console.say(isDemo ? 'Everything is detached; removing the demo.' : 'Everything is detached.')
  return ExitCode.ok
}

const demoNote = 'This is the demo: a small shop of real programs on two made-up nodes.'

// npm hands on a Ctrl-C that the terminal has already sent to us as well
const sameSignalMs = 1_000

/** Resolves at Ctrl-C or when told to end. Told again later, it ends at once: the kernel drops what a dead process held. */
function stopSignal(): Promise<string> {
  return new Promise(resolve => {
    let firstAt: number | undefined
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        firstAt ??= performance.now()
        if (performance.now() - firstAt > sameSignalMs) process.exit(ExitCode.failed)
        resolve(signal)
      })
    }
  })
}
