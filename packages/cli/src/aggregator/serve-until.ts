import { startBusAggregator } from '@skybraid/aggregator/program'
import { formatHostPort } from '@skybraid/shared'
import { createConsole } from '../console.ts'
import { ExitCode } from '../exit-code.ts'
import type { Surroundings } from '../surroundings.ts'
import { readVersion } from '../version.ts'
import type { AggregatorProgramConfig } from './options.ts'

/** Serves at once, books what the bus has, and ends when told to or when the bus can never be used. */
export async function serveUntil(
  stop: Promise<string>,
  config: AggregatorProgramConfig,
  { stdout }: Surroundings,
): Promise<number> {
  const console = createConsole(stdout, config.logLevel)
  const version = readVersion()
  console.say(`skybraid aggregator ${version}, cluster ${config.cluster}`)
  const waiting = new AbortController()
  const aggregator = await startBusAggregator({
    config: { ...config, dataDir: undefined },
    log: console.log,
    version,
    signal: waiting.signal,
  })
  const url = `http://${formatHostPort(aggregator.address)}`
  console.say(`API and page: ${url}   (for example ${url}/topology)`)
  try {
    await Promise.race([stop, aggregator.failed])
  } finally {
    waiting.abort()
    await aggregator.close()
  }
  console.say('Closed. What no closed minute holds yet stays in the stream of batches.')
  return ExitCode.ok
}
