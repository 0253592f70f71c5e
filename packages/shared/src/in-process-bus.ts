import type { BusMessage, BusPublisher, BusSubscriber } from './bus.ts'
import { SkybraidError } from './errors.ts'

export interface InProcessBus extends BusPublisher, BusSubscriber {
  /** Messages accepted and not yet handed over. */
  readonly queued: number
  /** Resolves when everything accepted so far was handed over. */
  idle(): Promise<void>
}

export interface InProcessBusOptions {
  /** Most messages that wait; further ones are refused with SB_BUS_FULL and may be tried again. */
  readonly capacity?: number
}

interface Waiting {
  readonly message: BusMessage
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

// A batch takes the aggregator less than a millisecond, so other work waits for a few of them at most.
const messagesPerTurn = 4

/**
 * A bus inside one process, for standalone mode. Messages are handed over in the order of publishing, later and from
 * the event loop, never inside `publish`. Before anybody subscribes they wait. `publish` resolves once every
 * subscriber took the message, and rejects with SB_BUS_FULL or SB_BUS_SUBSCRIBER.
 */
export function createInProcessBus({ capacity = 1_024 }: InProcessBusOptions = {}): InProcessBus {
  const subscribers: ((message: BusMessage) => void)[] = []
  let idleWaiters: (() => void)[] = []
  let queue: Waiting[] = []
  let next = 0
  let scheduled = false

  function schedule(): void {
    if (scheduled || subscribers.length === 0 || next === queue.length) return
    scheduled = true
    setImmediate(handOver)
  }

  function handOver(): void {
    scheduled = false
    const end = Math.min(queue.length, next + messagesPerTurn)
    while (next < end) deliver(queue[next++], subscribers)
    if (next === queue.length) {
      queue = []
      next = 0
      for (const wake of idleWaiters.splice(0)) wake()
    } else if (next > capacity) {
      queue = queue.slice(next)
      next = 0
    }
    schedule()
  }

  return {
    get queued() {
      return queue.length - next
    },
    publish(message) {
      if (queue.length - next >= capacity) {
        return Promise.reject(new SkybraidError('SB_BUS_FULL', `the bus already holds ${capacity} batches`))
      }
      return new Promise((resolve, reject) => {
        queue.push({ message, resolve, reject })
        schedule()
      })
    },
    subscribe(onMessage) {
      subscribers.push(onMessage)
      schedule()
    },
    idle() {
      if (queue.length === next) return Promise.resolve()
      return new Promise(resolve => {
        idleWaiters = [...idleWaiters, resolve]
      })
    },
  }
}

function deliver(waiting: Waiting, subscribers: readonly ((message: BusMessage) => void)[]): void {
  try {
    for (const onMessage of subscribers) onMessage(waiting.message)
    waiting.resolve()
  } catch (cause) {
    waiting.reject(new SkybraidError('SB_BUS_SUBSCRIBER', 'a subscriber failed on a batch', cause))
  }
}
