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
  readonly lastSequence: number
}

const ackTimeoutMs = 5_000
const retryMs = 500
const wrongLastSequence = 10071

/** Appends to one partition's subject of the ROLLUP stream. */
export function createRollupAppender(
  link: NatsLink,
  cluster: string,
  partition: number,
  stop: AbortSignal,
): RollupAppender {
  const subject = rollupSubject(cluster, partition)
  const stream = rollupStream(cluster)
  let lastSequence = 0

  async function lastThere(): Promise<{ sequence: number; data: Uint8Array | undefined }> {
    const message = await link.jsm.streams.getMessage(stream, { last_by_subj: subject })
    return { sequence: message?.seq ?? 0, data: message?.data }
  }

  /** Refused for the order: an earlier try may have been taken without our hearing of it. */
  async function resolve(bytes: Uint8Array): Promise<'appended' | 'rejected' | 'again'> {
    const there = await lastThere()
    const isOurs = there.data !== undefined && Buffer.compare(there.data, bytes) === 0
    if (there.sequence > lastSequence) {
      if (isOurs) lastSequence = there.sequence
      return isOurs ? 'appended' : 'rejected'
    }
    // what was there has become too old to be kept
    lastSequence = there.sequence
    return 'again'
  }

  async function attempt(bytes: Uint8Array): Promise<'appended' | 'rejected' | 'again'> {
    try {
      const expect = { lastSubjectSequence: lastSequence, streamName: stream }
      const { seq } = await link.js.publish(subject, bytes, { expect, timeout: ackTimeoutMs })
      lastSequence = Math.max(lastSequence, seq)
      return 'appended'
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === wrongLastSequence) return resolve(bytes)
      return 'again'
    }
  }

  return {
    get lastSequence() {
      return lastSequence
    },
    noteRead(sequence) {
      lastSequence = Math.max(lastSequence, sequence)
    },
    async append(bytes) {
      while (!stop.aborted) {
        const outcome = link.state().connected ? await attempt(bytes).catch(() => 'again' as const) : 'again'
        if (outcome !== 'again') return outcome
        await setTimeout(retryMs, undefined, { ref: false })
      }
      return 'stopped'
    },
  }
}
