import { SkybraidError } from '@skybraid/shared'
import { connectNats, type NatsConfig, type NatsLink } from '@skybraid/shared/nats'
import { printable } from '../printable.ts'
import { complain, type Surroundings } from '../surroundings.ts'

/** Connects at the first attempt or not at all: a person waits. Later on the connection comes back by itself. */
export async function reachBus(
  config: NatsConfig,
  around: Surroundings,
  stop: AbortSignal,
): Promise<NatsLink> {
  const giveUp = new AbortController()
  let refusal = ''
  let isThere = false
  const log = {
    info: (_: object, message: string) => void complain(around, 0, [`${message}.`]),
    warn(fields: { reason?: string }, message: string) {
      if (isThere) complain(around, 0, [sentence(message, fields.reason)])
      else refusal = fields.reason ?? message
      // after the wait for the next attempt began, so that it ends at once
      if (!isThere) setImmediate(() => giveUp.abort())
    },
  }
  try {
    const link = await connectNats({
      config,
      name: 'skybraid-tap',
      log,
      signal: AbortSignal.any([stop, giveUp.signal]),
    })
    isThere = true
    return link
  } catch (error) {
    if (refusal === '') throw error
    const servers = config.nats.join(', ')
    throw new SkybraidError(
      'SB_BUS_REFUSED',
      sentence(`The bus at ${servers} cannot be reached`, refusal),
      error,
    )
  }
}

function sentence(message: string, reason: string | undefined): string {
  return printable(`${message}${reason === undefined ? '' : `: ${reason}`}.`, 500)
}
