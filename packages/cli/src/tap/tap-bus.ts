import { setImmediate } from 'node:timers/promises'
import { flowFilter, nodeToken } from '@skybraid/shared/nats'
import type { Surroundings } from '../surroundings.ts'
import { subscribeLive } from './live.ts'
import { createMessageQueue, type MessageQueue } from './message-queue.ts'
import type { TapConfig } from './options.ts'
import { printKept } from './print-kept.ts'
import { reachBus } from './reach-bus.ts'
import type { Session } from './session.ts'

const longestRunMs = 20

/** What the bus kept, if that is asked for, and then what comes until `stop`. */
export async function tapBus(
  config: TapConfig,
  session: Session,
  around: Surroundings,
  stop: AbortSignal,
): Promise<void> {
  const link = await reachBus(config, around, stop)
  try {
    const wantsKept = config.since !== undefined || config.last !== undefined
    const follows = config.follow || !wantsKept
    const subjects = subjectsOf(config)
    let isLive = !wantsKept
    // what is let go before everything kept has been read is among that
    const queue = createMessageQueue(config.maxPending, message => isLive && session.dropped(message))
    stop.addEventListener('abort', queue.close)
    const problem = follows ? subscribeLive(link, subjects, queue) : () => undefined
    if (wantsKept) await printKept({ link, subjects, config, session, around, stop, upToNow: follows })
    isLive = true
    if (follows) await printLive(queue, session, stop)
    const refused = problem()
    if (refused !== undefined) throw refused
  } finally {
    await link.close()
  }
}

function subjectsOf({ cluster, node }: TapConfig): string[] {
  if (node.length === 0) return [flowFilter(cluster)]
  return [...new Set(node.map(name => flowFilter(cluster).replace(/>$/, `*.${nodeToken(name)}`)))]
}

async function printLive(queue: MessageQueue, session: Session, stop: AbortSignal): Promise<void> {
  let ranSince = performance.now()
  for (;;) {
    const message = await queue.next()
    if (message === undefined || stop.aborted) return
    await session.take(message)
    // the socket is read only in between
    if (performance.now() - ranSince < longestRunMs) continue
    await setImmediate()
    ranSince = performance.now()
  }
}
