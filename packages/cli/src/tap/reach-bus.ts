import { connectNats, type NatsConfig, type NatsLink } from '@skybraid/shared/nats'
import { printable } from '../printable.ts'
import { complain, type Surroundings } from '../surroundings.ts'

/** One program, which may come back sooner than hundreds of collectors may. */
const spreadMs = 2_000

/** Connects at the first attempt or not at all: a person waits. Later on the connection comes back by itself. */
export function reachBus(config: NatsConfig, around: Surroundings, signal: AbortSignal): Promise<NatsLink> {
  const say = ({ reason }: { reason?: string }, message: string) =>
    void complain(around, 0, [printable(`${message}${reason === undefined ? '' : `: ${reason}`}.`, 500)])
  return connectNats({
    config,
    name: 'skybraid-tap',
    log: { info: say, warn: say },
    signal,
    once: true,
    spreadMs,
  })
}
