import type { PartitionLayout } from '@skybraid/shared'
import { type NatsLink, readLayout } from '@skybraid/shared/nats'
import type { Log } from '../log.ts'

const everyMs = 10_000
/** Where the bus does not say, which one login or server may be the reason for. */
const laterMs = 60_000

/**
 * Reads now and then, and after every connect, how records are split. Nothing is told where the bus has no layout: then
 * what is configured holds. The answer ends it.
 */
export function followLayout(
  link: NatsLink,
  cluster: string,
  take: (layout: PartitionLayout) => void,
  log: Log,
): () => void {
  let timer: NodeJS.Timeout | undefined
  let isReading = false
  let lastReason: string | undefined

  async function read(): Promise<number> {
    try {
      const layout = await readLayout(link, cluster)
      if (layout !== undefined) take(layout)
      lastReason = undefined
      return everyMs
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== lastReason && link.state().connected)
        log.warn(
          { reason },
          'the bus does not say how records are split into partitions; they are split as before',
        )
      lastReason = reason
      return laterMs
    }
  }

  function look(): void {
    if (isReading || !link.state().connected) return
    isReading = true
    clearTimeout(timer)
    void read().then(inMs => {
      isReading = false
      timer = setTimeout(look, inMs).unref()
    })
  }

  const forget = link.onState(look)
  look()
  return () => {
    forget()
    clearTimeout(timer)
  }
}
