import { setTimeout as pause } from 'node:timers/promises'
import { JetStreamApiError } from '@nats-io/jetstream'
import { errors } from '@nats-io/transport-node'
import type { FastifyBaseLogger } from 'fastify'

const retryMs = 1_000
/** What a server answers that has no leader for it at the moment. */
const unavailable = 503

/** Whether nobody answered, as while a server is killed and comes back, or an election goes on: the same may be asked again. */
export function isSilence(error: unknown): boolean {
  if (error instanceof errors.TimeoutError || error instanceof errors.NoRespondersError) return true
  if (error instanceof errors.RequestError && error.isNoResponders()) return true
  if (error instanceof JetStreamApiError && error.status === unavailable) return true
  return error instanceof Error && error.cause !== undefined && isSilence(error.cause)
}

/** Asks for as long as the bus is silent, logging the first time; every other failure, and `signal`, end it. */
export async function untilAnswered<T>(
  ask: () => Promise<T>,
  log: Pick<FastifyBaseLogger, 'warn'>,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (signal.aborted || !isSilence(error)) throw error
      if (attempt === 1) log.warn({ reason: String(error) }, 'the bus does not answer; asking again')
      await pause(retryMs, undefined, { signal }).catch(() => undefined)
    }
  }
}
