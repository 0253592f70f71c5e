import { hostname } from 'node:os'
import { SkybraidError } from '@skybraid/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { Core, CoreOptions } from '../../core.ts'
import { createEndNames } from './interval/end-names.ts'
import { createPairBook } from './interval/pair-book.ts'
import { createOapConnection } from './oap-connection.ts'
import { type OapExporter, startOapExporter } from './oap-exporter.ts'
import { type OapConfig, oapConfigProblem } from './options.ts'

export interface OapSurroundings {
  readonly log: FastifyBaseLogger
  readonly nowMs: () => number
  readonly writeLine?: (line: string) => void
}

/** What the core needs so that something can be exported; nothing where nobody asks for it. */
export function pairsForOap(config: OapConfig): Pick<CoreOptions, 'pairsOf'> {
  if (!isWanted(config)) return {}
  return {
    pairsOf: index => createPairBook({ names: createEndNames({ index, cluster: config.oapCluster }) }),
  }
}

/** Starts to feed OAP if the options say so. Throws SB_CONFIG with one plain sentence where they can't be used. */
export function openOapExporter(
  config: OapConfig,
  { pairs, topology }: Core,
  { log, nowMs, writeLine }: OapSurroundings,
): OapExporter | undefined {
  const problem = oapConfigProblem(config)
  if (problem !== undefined) throw new SkybraidError('SB_CONFIG', problem)
  if (pairs === undefined) return undefined
  // unreadable files are told at the start, not at the first interval
  for (const address of config.oap) createOapConnection(address, config).close()
  return startOapExporter({
    config,
    node: hostname(),
    source: { pairs, markDeltas: topology.markDeltas, takeDeltas: topology.takeDeltas },
    log,
    nowMs,
    random: Math.random,
    write: writeLine ?? (line => void process.stdout.write(line)),
  })
}

function isWanted({ oap, oapDryRun }: OapConfig): boolean {
  return oap.length > 0 || oapDryRun
}
