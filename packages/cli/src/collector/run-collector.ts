import { hostname } from 'node:os'
import { natsConfigProblem } from '@skybraid/shared/nats'
import { ExitCode } from '../exit-code.ts'
import { loadOptions } from '../load-options.ts'
import { isNodeName } from '../node-spec.ts'
import { findProblems } from '../preflight.ts'
import { stopSignal } from '../stop-signal.ts'
import { complain, complainOf, type Surroundings } from '../surroundings.ts'
import { readSystemFacts } from '../system-facts.ts'
import type { Reload } from './observe-until.ts'
import { type CollectorProgramConfig, collectorOptions } from './options.ts'

const command = {
  verb: 'collector',
  about: 'skybraid collector observes one node and publishes what it sees to NATS JetStream.',
  options: collectorOptions,
}

/** Observes this node and publishes to the bus until told to end. */
export async function runCollector(args: readonly string[], around: Surroundings): Promise<number> {
  const loaded = await loadOptions(command, args, around)
  if (!('config' in loaded)) return loaded.exitCode
  const node = loaded.config.node ?? hostname()
  const problem = configProblem(loaded.config, node)
  if (problem !== undefined) return complain(around, ExitCode.usage, [problem])
  const readAgain = async () => {
    const again = await loadOptions(command, args, around)
    return 'config' in again ? again.config : undefined
  }
  const reload = { configPath: loaded.configPath, readAgain }
  return observe({ ...loaded.config, node }, reload, around)
}

function configProblem(config: CollectorProgramConfig, node: string): string | undefined {
  if (config.nats.length === 0) {
    return 'There is no bus to publish to: give --nats nats://HOST:PORT, or run skybraid standalone, which needs none.'
  }
  if (!isNodeName(node)) {
    return `The node name ${JSON.stringify(node)} may hold letters, digits, '.', '_' and '-', at most 253; give another with --node.`
  }
  return natsConfigProblem(config)
}

async function observe(
  config: CollectorProgramConfig & { readonly node: string },
  reload: Reload,
  around: Surroundings,
): Promise<number> {
  const given = config.cgroup === undefined ? [] : [{ name: config.node, cgroupPath: config.cgroup }]
  const facts = await readSystemFacts(config.statusListen, given)
  const pages = { flag: '--status-listen', who: 'the status pages' }
  const problems = findProblems(facts, pages, { packetHooks: config.udp })
  if (problems.length > 0) {
    const sentences = problems.map(({ sentence }) => sentence)
    return complain(around, ExitCode.cannotRun, sentences)
  }
  const stop = stopSignal(['SIGINT', 'SIGTERM'])
  try {
    // the rest loads only once it is clear that it is needed
    const { observeUntil } = await import('./observe-until.ts')
    return await observeUntil(stop, { ...config, cgroup: config.cgroup ?? facts.cgroup2Root }, reload, around)
  } catch (error) {
    return complainOf(error, around)
  }
}
