import { setTimeout } from 'node:timers/promises'
import { JetStreamApiError } from '@nats-io/jetstream'
import { type NatsLink, rollupStream, rollupSubject } from '@skybraid/shared/nats'

export interface RollupAppender {
  /**
   * Appends one message if nothing came behind the last one that is known; 'rejected' if somebody else appended, 'stopped'
   * if it was told to stop first. Tries on through every other trouble.
   */
  append(bytes: Uint8Array): Promise<'appended' | 'rejected' | 'stopped'>
  /** A message of this partition was read. */
  noteRead(sequence: number): void
  /** The stream is another one, whose sequences begin anew. */
  noteReplaced(): void
  readonly lastSequence: number
}

interface Attempt {
  readonly outcome: 'appended' | 'rejected' | 'again'
  /** Last sequence that the next attempt states. */
  readonly expected: number
}

const ackTimeoutMs = 5_000
const retryMs = 500
const wrongLastSequence = 10071

/** Appends to one partition's subject of the ROLLUP stream. `isOurs` tells messages that were appended here. */
export function createRollupAppender(
  link: NatsLink,
  cluster: string,
  partition: number,
  stop: AbortSignal,
  isOurs: (bytes: Uint8Array) => boolean,
): RollupAppender {
  const subject = rollupSubject(cluster, partition)
  const stream = rollupStream(cluster)
  let lastSequence = 0

  async function lastThere(): Promise<{ sequence: number; data: Uint8Array | undefined }> {
    const message = await link.jsm.streams.getMessage(stream, { last_by_subj: subject })
    return { sequence: message?.seq ?? 0, data: message?.data }
  }

  /**
   * Refused for the order. An earlier try may have been taken without our hearing of it, and what was there may have
   * become too old to be kept. In a stream that was made anew sequences are lower than those that are known, so it is by
   * whose message is the last one that a change of owners shows, not by its sequence.
   */
  async function resolve(bytes: Uint8Array, expected: number): Promise<Attempt> {
    const there = await lastThere()
    if (there.data === undefined) return { outcome: 'again', expected: 0 }
    if (Buffer.compare(there.data, bytes) === 0) {
      lastSequence = there.sequence
      return { outcome: 'appended', expected }
    }
    return isOurs(there.data)
      ? { outcome: 'again', expected: there.sequence }
      : { outcome: 'rejected', expected }
  }

  async function attempt(bytes: Uint8Array, expected: number): Promise<Attempt> {
    try {
      const expect = { lastSubjectSequence: expected, streamName: stream }
      const { seq } = await link.js.publish(subject, bytes, { expect, timeout: ackTimeoutMs })
      lastSequence = seq
      return { outcome: 'appended', expected }
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === wrongLastSequence)
        return resolve(bytes, expected)
      return { outcome: 'again', expected }
    }
  }

  return {
    get lastSequence() {
      return lastSequence
    },
    noteRead(sequence) {
      lastSequence = Math.max(lastSequence, sequence)
    },
    noteReplaced() {
      lastSequence = 0
    },
    async append(bytes) {
      // As it was when the append was decided on: somebody else's message that is read meanwhile must not let it pass.
      let expected = lastSequence
      while (!stop.aborted) {
        if (link.state().connected) {
          const tried = await attempt(bytes, expected).catch(() => undefined)
          if (tried !== undefined && tried.outcome !== 'again') return tried.outcome
          expected = tried?.expected ?? expected
        }
        await setTimeout(retryMs, undefined, { ref: false })
      }
      return 'stopped'
    },
  }
}
