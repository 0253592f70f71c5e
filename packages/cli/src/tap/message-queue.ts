import type { TapMessage } from './tap-message.ts'

/**
 * Batches between the bus and whoever prints them. Nobody waits for room: what would make it hold more than
 * `limitBytes` pushes out the oldest, but never the newest.
 */
export interface MessageQueue {
  add(message: TapMessage): void
  /** The oldest; undefined once it is empty and closed. */
  next(): Promise<TapMessage | undefined>
  /** Nothing more comes. */
  close(): void
}

// an object, its headers and its place in the list
const overheadBytes = 512

export function createMessageQueue(limitBytes: number, onDrop: (message: TapMessage) => void): MessageQueue {
  let waiting: TapMessage[] = []
  let first = 0
  let heldBytes = 0
  let isClosed = false
  let wake: (() => void) | undefined

  function take(): TapMessage | undefined {
    if (first === waiting.length) return undefined
    const message = waiting[first++]
    heldBytes -= sizeOf(message)
    if (first > 1_024 && 2 * first > waiting.length) {
      waiting = waiting.slice(first)
      first = 0
    }
    return message
  }

  function wakeUp(): void {
    wake?.()
    wake = undefined
  }

  return {
    add(message) {
      if (isClosed) return
      waiting.push(message)
      heldBytes += sizeOf(message)
      while (heldBytes > limitBytes && waiting.length - first > 1) onDrop(take()!)
      wakeUp()
    },
    async next() {
      while (first === waiting.length && !isClosed) {
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
      return take()
    },
    close() {
      isClosed = true
      wakeUp()
    },
  }
}

function sizeOf({ payload }: TapMessage): number {
  return payload.length + overheadBytes
}
