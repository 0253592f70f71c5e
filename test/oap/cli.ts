import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { until } from '../lab/until.ts'
import { graphql, Oap, type OapPorts } from './oap.ts'
import { fetchOapJars, oapVersion } from './oap-jars.ts'

const help = `A real Apache SkyWalking OAP ${oapVersion} on this machine, with everything in memory.

  npm run oap -- up       fetch the jars if they are not here, start it, wait until it answers
  npm run oap -- fetch    only fetch the jars, for npm run test:oap
  npm run oap -- status   whether it runs, and where
  npm run oap -- down     end it; nothing stays but the jars in .cache/oap

It listens on 127.0.0.1: 11800 for senders (skybraid --oap 127.0.0.1:11800), 12800 for GraphQL.
`

interface State {
  readonly pid: number
  readonly ports: OapPorts
  readonly logPath: string
}

const stateFile = fileURLToPath(new URL('../../.cache/oap/running.json', import.meta.url))
const ports: OapPorts = { grpc: 11_800, rest: 12_800, metrics: 11_234 }

/** The server that runs; undefined if none does. A number that another program got meanwhile is not taken for it. */
function running(): State | undefined {
  if (!existsSync(stateFile)) return undefined
  const state = JSON.parse(readFileSync(stateFile, 'utf8')) as State
  const command = existsSync(`/proc/${state.pid}/cmdline`)
    ? readFileSync(`/proc/${state.pid}/cmdline`, 'utf8')
    : ''
  return command.includes('OAPServerStartUp') ? state : undefined
}

async function up(): Promise<void> {
  if (running() === undefined) {
    const oap = await Oap.start({ ports, metricRules: 'skybraid/*', detached: true, say: console.error })
    writeFileSync(stateFile, JSON.stringify({ pid: oap.pid!, ports, logPath: oap.logPath } satisfies State))
    oap.release()
  }
  await status()
}

async function status(): Promise<void> {
  const state = running()
  if (state === undefined) return console.log('OAP is not up')
  const { version } = await graphql<{ version: string }>(state.ports.rest, '{ version }')
  console.log(`OAP ${version}, process ${state.pid}`)
  console.log(`senders: 127.0.0.1:${state.ports.grpc}`)
  console.log(`GraphQL: http://127.0.0.1:${state.ports.rest}/graphql`)
}

async function down(): Promise<void> {
  const state = running()
  if (state !== undefined) {
    process.kill(state.pid, 'SIGTERM')
    await until('OAP ends', () => running() === undefined, { timeoutMs: 10_000 }).catch(() =>
      process.kill(state.pid, 'SIGKILL'),
    )
    rmSync(state.logPath, { force: true })
  }
  rmSync(stateFile, { force: true })
}

async function fetchJars(): Promise<void> {
  await fetchOapJars(console.error)
}

const verbs: Readonly<Record<string, () => Promise<void>>> = { up, status, down, fetch: fetchJars }
const [verb = '--help'] = process.argv.slice(2)
if (!Object.hasOwn(verbs, verb)) {
  console.log(help)
  process.exitCode = verb === '--help' ? 0 : 2
} else {
  await verbs[verb]().catch((error: Error) => {
    console.error(`oap: ${error.message}`)
    process.exitCode = 1
  })
}
