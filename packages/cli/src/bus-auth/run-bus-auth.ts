import { busAuthConfigSchema, startBusAuth, writeIssuer } from '@skybraid/aggregator/program'
import { defineOptions } from '@skybraid/shared'
import { natsConfigProblem } from '@skybraid/shared/nats'
import { createConsole } from '../console.ts'
import { ExitCode } from '../exit-code.ts'
import { loadOptions } from '../load-options.ts'
import { logLevelOption } from '../log-level.ts'
import { stopSignal } from '../stop-signal.ts'
import { complain, complainOf, type Surroundings } from '../surroundings.ts'
import { readVersion } from '../version.ts'

export const busAuthOptions = defineOptions({ ...busAuthConfigSchema, ...logLevelOption })

const command = {
  verb: 'bus-auth',
  about:
    'skybraid bus-auth answers what NATS servers ask about logins: who shows the token of a collector’s pod may publish as the node of that pod.',
  options: busAuthOptions,
}

/** Answers for logins until told to end. */
export async function runBusAuth(args: readonly string[], around: Surroundings): Promise<number> {
  const loaded = await loadOptions(command, args, around)
  if (!('config' in loaded)) return loaded.exitCode
  const { config } = loaded
  try {
    if (config.writeIssuer !== undefined) {
      writeIssuer(config, config.writeIssuer)
      return ExitCode.ok
    }
    const problem =
      config.nats.length === 0 ? 'There is no bus: give --nats nats://HOST:PORT.' : natsConfigProblem(config)
    if (problem !== undefined) return complain(around, ExitCode.usage, [problem])
    const stop = stopSignal()
    const console = createConsole(around.stdout, config.logLevel)
    console.say(`skybraid bus-auth ${readVersion()}, cluster ${config.cluster}`)
    const busAuth = await startBusAuth(config, console.log)
    try {
      await Promise.race([stop, busAuth.failed])
    } finally {
      await busAuth.close()
    }
    return ExitCode.ok
  } catch (error) {
    return complainOf(error, around)
  }
}
