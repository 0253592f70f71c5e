import { checkOap, oapConfigProblem, oapConfigSchema } from '@skybraid/aggregator'
import { defineOptions, type HostPort } from '@skybraid/shared'
import { ExitCode } from '../exit-code.ts'
import { loadOptions } from '../load-options.ts'
import { findProblems } from '../preflight.ts'
import { complain, complainOf, print, type Surroundings } from '../surroundings.ts'
import { readSystemFacts } from '../system-facts.ts'

const {
  'oap-dry-run': _dryRun,
  'oap-cluster': _cluster,
  'oap-http-logs-per-second': _rate,
  ...oap
} = oapConfigSchema

const command = {
  verb: 'preflight',
  about: `skybraid preflight tells what is missing: on this machine for observing it, or with --oap at an OAP for feeding it.
Nothing is started, and nothing is sent.`,
  options: defineOptions({
    ...oap,
    'oap-query': {
      type: 'address',
      description: 'Where OAP answers queries, for its version; without it port 12800 of each --oap',
      env: 'SKYBRAID_OAP_QUERY',
    },
  }),
}

/** Exits with 0 if nothing is missing. */
export async function runPreflight(args: readonly string[], around: Surroundings): Promise<number> {
  const loaded = await loadOptions(command, args, around)
  if (!('config' in loaded)) return loaded.exitCode
  const config = { ...loaded.config, oapDryRun: false, oapCluster: '', oapHttpLogsPerSecond: 0 }
  const problem = oapConfigProblem(config)
  if (problem !== undefined) return complain(around, ExitCode.usage, [problem])
  if (config.oap.length === 0) return checkMachine(around)
  let isMissing = false
  try {
    for (const address of config.oap) {
      const { found, missing } = await checkOap(address, config, config.oapQuery ?? queryPortOf(address))
      for (const sentence of found) print(around.stdout, `OAP ${address}: ${sentence}.\n`)
      complain(
        around,
        ExitCode.cannotRun,
        missing.map(sentence => `OAP ${address}: ${sentence}.`),
      )
      isMissing ||= missing.length > 0
    }
  } catch (error) {
    return complainOf(error, around)
  }
  return isMissing ? ExitCode.cannotRun : ExitCode.ok
}

async function checkMachine(around: Surroundings): Promise<number> {
  // a port that the system chooses is always free
  const problems = findProblems(await readSystemFacts({ host: '127.0.0.1', port: 0 }, []))
  if (problems.length === 0)
    return print(around.stdout, 'Nothing is missing: this machine can be observed.\n')
  return complain(
    around,
    ExitCode.cannotRun,
    problems.map(({ sentence }) => sentence),
  )
}

function queryPortOf(address: string): HostPort {
  return { host: address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, ''), port: 12_800 }
}
