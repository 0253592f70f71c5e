import { SkybraidError } from '@skybraid/shared'
import type { FastifyBaseLogger } from 'fastify'
import {
  addressRange,
  createOutsideRanges,
  type NamedRange,
  type OutsideRanges,
} from '../resolve/address-range.ts'
import type { Kubernetes } from './kubernetes.ts'
import type { NamesConfig } from './names-config.ts'

/** Watches the cluster that the configuration names; undefined where it names none. */
export async function openKubernetes(
  config: NamesConfig & { readonly retention: number },
  log: FastifyBaseLogger,
): Promise<Kubernetes | undefined> {
  if (config.kubernetes === 'off') return undefined
  // the client costs tens of megabytes: it loads only where there may be a cluster
  const [{ kubeTransport }, { watchKubernetes }] = await Promise.all([
    import('./kube-transport.ts'),
    import('./kubernetes.ts'),
  ])
  const mode = config.kubernetes as Parameters<typeof kubeTransport>[0]
  const transport = kubeTransport(mode, config.kubeconfig)
  return transport && watchKubernetes({ transport, log, retentionMs: config.retention })
}

/** The names of outside ranges; undefined if none is configured. */
export function outsideRangesOf(config: NamesConfig): OutsideRanges | undefined {
  if (config.outside.length === 0) return undefined
  return createOutsideRanges(
    config.outside.map(text => {
      const named = namedRange(text)
      if (named === undefined) throw new SkybraidError('SB_CONFIG', `${text} is not NAME=CIDR.`)
      return named
    }),
  )
}

/** Reads `NAME=CIDR`. */
export function namedRange(text: string): NamedRange | undefined {
  const [, name, cidr] = /^([^=]{1,100})=(.+)$/.exec(text) ?? []
  const range = cidr === undefined ? undefined : addressRange(cidr)
  return range && { name, range }
}
