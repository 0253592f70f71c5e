import { natsConfigProblem } from '@skybraid/shared/nats'
import { ExitCode } from '../exit-code.ts'
import { loadOptions } from '../load-options.ts'
import { stopSignal } from '../stop-signal.ts'
import { complain, complainOf, type Surroundings } from '../surroundings.ts'
import { type AggregatorProgramConfig, aggregatorOptions } from './options.ts'

const command = {
  verb: 'aggregator',
  about:
    'skybraid aggregator reads what collectors publish to NATS JetStream, joins both ends and serves the topology.',
  options: aggregatorOptions,
}

/** Reads the bus and serves the API until told to end. */
export async function runAggregator(args: readonly string[], around: Surroundings): Promise<number> {
  const loaded = await loadOptions(command, args, around)
  if (!('config' in loaded)) return loaded.exitCode
  const problem = configProblem(loaded.config)
  if (problem !== undefined) return complain(around, ExitCode.usage, [problem])
  const stop = stopSignal()
  try {
    // the rest loads only once it is clear that it is needed
    const { serveUntil } = await import('./serve-until.ts')
    return await serveUntil(stop, loaded.config, around)
  } catch (error) {
    return complainOf(error, around)
  }
}

function configProblem(config: AggregatorProgramConfig): string | undefined {
  if (config.nats.length === 0) {
    return 'There is no bus to read: give --nats nats://HOST:PORT, or run skybraid standalone, which needs none.'
  }
  return natsConfigProblem(config)
}
