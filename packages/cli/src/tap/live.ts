import { SkybraidError } from '@skybraid/shared'
import type { NatsLink } from '@skybraid/shared/nats'
import type { MessageQueue } from './message-queue.ts'
import { tapMessage } from './tap-message.ts'

/** Puts what passes over the bus into the queue from now on. Answers what went wrong, once the queue is closed. */
export function subscribeLive(
  link: NatsLink,
  subjects: readonly string[],
  queue: MessageQueue,
): () => SkybraidError | undefined {
  let problem: SkybraidError | undefined
  for (const subject of subjects) {
    link.connection.subscribe(subject, {
      callback(error, message) {
        if (error === null || error === undefined) return queue.add(tapMessage(message))
        problem ??= new SkybraidError(
          'SB_BUS_REFUSED',
          `This user may not read ${subject}: ${error.message}.`,
          error,
        )
        queue.close()
      },
    })
  }
  void link.connection.closed().then(() => queue.close())
  return () => problem
}
