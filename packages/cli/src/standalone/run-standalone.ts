import { hostname } from 'node:os'
import { formatHostPort } from '@skybraid/shared'
import { createConsole, type Output } from '../console.ts'
import { ExitCode } from '../exit-code.ts'
import { loadOptions } from '../load-options.ts'
import { type NodeSpec, nodeConflict, parseNodeSpec } from '../node-spec.ts'
import { findProblems } from '../preflight.ts'
import { stopSignal } from '../stop-signal.ts'
import { complain, complainOf, type Surroundings } from '../surroundings.ts'
import { readSystemFacts, type SystemFacts } from '../system-facts.ts'
import { readVersion } from '../version.ts'
import { type Demo, startDemo } from './demo.ts'
import { type Screen, showLive } from './live-view.ts'
import { type StandaloneConfig, standaloneOptions } from './options.ts'

const command = {
  verb: 'standalone',
  about: 'skybraid shows who talks to whom on this machine, seen from both ends.',
  options: standaloneOptions,
}

/** Observes this machine, or the demo, until told to end. */
export async function runStandalone(args: readonly string[], around: Surroundings): Promise<number> {
  const loaded = await loadOptions(command, args, around)
  return 'config' in loaded ? observe(loaded.config, around) : loaded.exitCode
}

async function observe(config: StandaloneConfig, around: Surroundings): Promise<number> {
  const given = config.node.map(text => parseNodeSpec(text) as NodeSpec)
  const conflict = nodeConflict(given)
  if (conflict !== undefined) return complain(around, ExitCode.usage, [`${conflict}.`])
  if (config.demo && given.length > 0) {
    return complain(around, ExitCode.usage, ['--demo brings its own nodes; leave out --node.'])
  }
  const facts = await readSystemFacts(config.listen, given)
  const problems = findProblems(facts, undefined, { packetHooks: config.udp })
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
    return complainOf(error, around)
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
    screen.isTTY && config.table
      ? showLive(screen, () => standalone.aggregator.recent(), 1_000)
      : () => undefined
  await stop
  stopTable()
  await standalone.close()
  console.say(isDemo ? 'Everything is detached; removing the demo.' : 'Everything is detached.')
  return ExitCode.ok
}

const demoNote = 'This is the demo: a small shop of real programs on two made-up nodes.'
