import { nearestName } from '@skybraid/shared'
import { ExitCode } from './exit-code.ts'
import { complain, print, type RunVerb, type Surroundings } from './surroundings.ts'
import { readVersion } from './version.ts'

interface Verb {
  readonly about: string
  /** Loads what the verb needs, and nothing of the others. */
  readonly load: () => Promise<RunVerb>
}

const verbs: Readonly<Record<string, Verb>> = {
  standalone: {
    about: 'observe this machine: collector, aggregator and API in one process (the default)',
    load: async () => (await import('./standalone/run-standalone.ts')).runStandalone,
  },
  aggregator: {
    about: 'read what collectors publish to NATS JetStream, and serve the API and the page',
    load: async () => (await import('./aggregator/run-aggregator.ts')).runAggregator,
  },
  collector: {
    about: 'observe one node and publish to NATS',
    load: async () => (await import('./collector/run-collector.ts')).runCollector,
  },
  'bus-auth': {
    about: 'let collectors into the bus by the tokens of their pods, each as its own node',
    load: async () => (await import('./bus-auth/run-bus-auth.ts')).runBusAuth,
  },
  preflight: {
    about: 'tell what is missing on this machine, or at an OAP',
    load: async () => (await import('./preflight/run-preflight.ts')).runPreflight,
  },
  tap: {
    about: 'print flow records as they pass over the bus, or from a file',
    load: async () => (await import('./tap/run-tap.ts')).runTap,
  },
  decode: {
    about: 'print the batch of flow records on standard input',
    load: async () => (await import('./decode/run-decode.ts')).runDecode,
  },
}

/** Runs the command line and answers the exit code. Whatever goes wrong is told in plain sentences on stderr. */
export async function run(args: readonly string[], around: Surroundings): Promise<number> {
  const [first = 'standalone', ...others] = args
  const name = first.startsWith('-') ? 'standalone' : first
  const rest = first.startsWith('-') ? args : others
  if (name === 'version' || rest.includes('--version')) {
    return print(around.stdout, `skybraid ${readVersion()}\n`)
  }
  if (name === 'help') return help(rest, around)
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (verb === undefined) {
    const near = nearestName(name, [...Object.keys(verbs), 'help', 'version'])
    return complain(around, ExitCode.usage, [
      `Unknown command ${name}${near ? `; the nearest is ${near}` : ''}; see skybraid help.`,
    ])
  }
  return (await verb.load())(rest, around)
}

/** `help` lists the commands, `help COMMAND` is that command's own help. */
async function help([of]: readonly string[], around: Surroundings): Promise<number> {
  if (of !== undefined && Object.hasOwn(verbs, of)) return (await verbs[of].load())(['--help'], around)
  const width = Math.max(...Object.keys(verbs).map(name => name.length))
  const lines = Object.entries(verbs).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`)
  return print(
    around.stdout,
    `skybraid shows who talks to whom, how well, and why not, seen from both ends.\n\nUsage: skybraid [command] [options]\n\n${lines.join('\n')}\n\nskybraid COMMAND --help tells the options of a command.\n`,
  )
}
