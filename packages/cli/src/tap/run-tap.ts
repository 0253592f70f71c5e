import { createReadStream } from 'node:fs'
import { SkybraidError } from '@skybraid/shared'
import { natsConfigProblem } from '@skybraid/shared/nats'
import { ExitCode } from '../exit-code.ts'
import { createFlowFilter } from '../flow-lines/flow-filter.ts'
import { createLineFormat, type FormatName } from '../flow-lines/line-format.ts'
import { loadOptions } from '../load-options.ts'
import { stopSignal } from '../stop-signal.ts'
import { complain, complainOf, type Surroundings } from '../surroundings.ts'
import { BatchFileError, readBatchFile } from './batch-file.ts'
import { createLastBatches } from './last-batches.ts'
import { rewriteNot } from './not-flag.ts'
import { type TapConfig, tapOptions } from './options.ts'
import { paintFor } from './output-options.ts'
import { printLast } from './print-kept.ts'
import { createSession, type Session } from './session.ts'
import { createSink } from './sink.ts'

const command = {
  verb: 'tap',
  about: `skybraid tap prints flow records as they pass over the bus, one line each, and what was lost where it was lost.

Everything as it comes, until Ctrl-C:
  skybraid tap --nats nats://nats.example:4222
The last 20 failed dials to a database, and then every further one:
  skybraid tap --to postgres:5432 --verdict failed --last 20 -f
What one node reported in the last 5 minutes, but for DNS, for another program:
  skybraid tap --node worker-1 --since 5m --not --to :53 -o ndjson | jq .
Keep batches as they are, and look at them later:
  skybraid tap --since 1m -o raw > flows.bin && skybraid tap --input flows.bin -o table

--not reverses the filter behind it. A filter that is given several times lets pass what fits one of its values.`,
  options: tapOptions,
}

/** Prints records of the bus or of a file until there are no more, or until told to end. */
export async function runTap(args: readonly string[], around: Surroundings): Promise<number> {
  const rewritten = rewriteNot(args)
  if (!rewritten.ok) return complain(around, ExitCode.usage, [rewritten.problem])
  const loaded = await loadOptions(command, rewritten.args, { ...around, env: busVariables(around.env) })
  if (!('config' in loaded)) return loaded.exitCode
  const { config } = loaded
  const contradiction = contradictionIn(config, around)
  if (contradiction !== undefined) return complain(around, ExitCode.usage, [contradiction])
  const stop = new AbortController()
  void stopSignal().then(() => stop.abort())
  const sink = createSink(around.stdout, stop.signal)
  const isRaw = config.output === 'raw'
  const format = isRaw
    ? undefined
    : createLineFormat(config.output as FormatName, paintFor(around.stdout, around.env, config.color))
  const session = createSession({ format, filter: filterOf(config), nodes: config.node, sink, now: Date.now })
  try {
    await sink.write(format?.head() ?? '')
    if (config.input !== undefined) await tapFile(config.input, config.last, session, around, stop.signal)
    else await (await import('./tap-bus.ts')).tapBus(config, session, around, stop.signal)
    await session.finish()
    return ExitCode.ok
  } catch (error) {
    // told to end while something was still being opened
    if (stop.signal.aborted) return ExitCode.ok
    await session.finish()
    if (error instanceof BatchFileError) {
      return complain(around, ExitCode.failed, [
        `${config.input} holds no batches that can be read: ${error.message}.`,
      ])
    }
    return complainOf(error, around)
  }
}

/** Variables of the other commands are none of its business, as in a container that runs one of them. */
function busVariables(env: Surroundings['env']): Surroundings['env'] {
  const isOurs = (name: string) => name.startsWith('SKYBRAID_NATS') || name === 'SKYBRAID_CLUSTER'
  return Object.fromEntries(Object.entries(env).filter(([name]) => isOurs(name)))
}

function contradictionIn(config: TapConfig, { stdout }: Surroundings): string | undefined {
  if (config.input !== undefined && (config.follow || config.since !== undefined)) {
    return '--follow and --since are about the bus; leave them out with --input.'
  }
  if (config.output !== 'raw') return natsConfigProblem(config)
  if (stdout.isTTY === true) return '-o raw is not for a terminal; send it to a file or another program.'
  const { notFrom, notTo, notProto, notVerdict, from, to, proto, verdict } = config
  if ([notFrom, notTo, notProto, notVerdict, from, to, proto, verdict].some(texts => texts.length > 0)) {
    return '-o raw writes whole batches; choose records when the file is read.'
  }
  return natsConfigProblem(config)
}

function filterOf({ from, to, proto, verdict, notFrom, notTo, notProto, notVerdict }: TapConfig) {
  return createFlowFilter(
    { from, to, proto, verdict },
    { from: notFrom, to: notTo, proto: notProto, verdict: notVerdict },
  )
}

async function tapFile(
  path: string,
  last: number | undefined,
  session: Session,
  { stdin }: Surroundings,
  stop: AbortSignal,
): Promise<void> {
  const file = path === '-' ? stdin : createReadStream(path, { signal: stop })
  const batches = last === undefined ? undefined : createLastBatches(last)
  for await (const message of readBatchFile(readable(file ?? noBytes(), path))) {
    if (batches === undefined) await session.take(message)
    else batches.add(message, session.fittingRecords(message))
    if (stop.aborted) return
  }
  if (batches !== undefined) await printLast(batches, session, stop)
}

async function* noBytes(): AsyncGenerator<Uint8Array> {}

/** Turns the system's words about a file into a sentence. */
async function* readable(chunks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks
  } catch (cause) {
    throw new SkybraidError(
      'SB_CONFIG',
      `The file ${path} cannot be read: ${(cause as Error).message}.`,
      cause,
    )
  }
}
