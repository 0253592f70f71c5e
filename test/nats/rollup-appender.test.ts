import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRollupAppender } from '../../packages/aggregator/src/bus/rollup-appender.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import {
  connectNats,
  ensureStreams,
  type NatsLink,
  natsConfigSchema,
  rollupStream,
} from '../../packages/shared/src/nats/index.ts'
import { NatsServer } from './nats-server.ts'
import { streamSettings } from './stream-settings.ts'

const cluster = 'append'
const log = { info() {}, warn() {} }

describe('createRollupAppender', () => {
  let server: NatsServer
  let link: NatsLink

  beforeAll(async () => {
    server = await NatsServer.start()
    const nats = loadConfig(natsConfigSchema, { args: ['--nats', server.url], env: {} })
    if (!nats.ok) throw new Error('configuration')
    link = await connectNats({ config: nats.config, name: 'appender', log })
    await ensureStreams(link.jsm, cluster, streamSettings())
  })
  afterAll(async () => {
    await link.close()
    await server.stop()
  })

  /** What it appends begins with `own`. */
  const appender = (partition: number, own = 0) =>
    createRollupAppender(
      link,
      cluster,
      partition,
      new AbortController().signal,
      bytes => bytes[0] === own && own > 0,
    )

  it('appends one after the other, and is refused behind somebody else', async () => {
    const [first, second] = [appender(0), appender(0)]
    expect(await first.append(Uint8Array.of(1))).toBe('appended')
    expect(await second.append(Uint8Array.of(2))).toBe('rejected')
    second.noteRead(first.lastSequence)
    expect(await second.append(Uint8Array.of(2))).toBe('appended')
    expect(await first.append(Uint8Array.of(3))).toBe('rejected')
  })

  it('is refused also if it reads what somebody else appended while its own append is on the way', async () => {
    const [first, second] = [appender(1), appender(1)]
    expect(await first.append(Uint8Array.of(1))).toBe('appended')
    second.noteRead(first.lastSequence)
    expect(await second.append(Uint8Array.of(2))).toBe('appended')
    const late = first.append(Uint8Array.of(3))
    first.noteRead(second.lastSequence)
    expect(await late).toBe('rejected')
  })

  describe('in a stream that was made anew', () => {
    /** Two that know the former one, whose last message is of the first one, and far ahead of those to come. */
    async function afterwards(partition: number) {
      const [first, second] = [appender(partition, 1), appender(partition, 2)]
      for (let count = 0; count < 5; count++)
        expect(await first.append(Uint8Array.of(1, count))).toBe('appended')
      second.noteRead(first.lastSequence)
      await link.jsm.streams.delete(rollupStream(cluster))
      await ensureStreams(link.jsm, cluster, streamSettings())
      return [first, second] as const
    }

    it('holds one back whom somebody else followed, whatever the numbers are', async () => {
      const [first, second] = await afterwards(2)
      expect(await first.append(Uint8Array.of(1, 10))).toBe('appended')
      second.noteReplaced()
      second.noteRead(first.lastSequence)
      expect(await second.append(Uint8Array.of(2, 11))).toBe('appended')
      expect(await first.append(Uint8Array.of(1, 12))).toBe('rejected')
      expect(await first.append(Uint8Array.of(1, 13))).toBe('rejected')
      expect(await second.append(Uint8Array.of(2, 14))).toBe('appended')
    })

    it('holds one back who did not hear yet that it is another one', async () => {
      const [first, second] = await afterwards(3)
      second.noteReplaced()
      expect(await second.append(Uint8Array.of(2, 10))).toBe('appended')
      expect(await first.append(Uint8Array.of(1, 11))).toBe('rejected')
    })

    it('lets the one go on that is alone', async () => {
      const [first] = await afterwards(4)
      for (let count = 0; count < 3; count++)
        expect(await first.append(Uint8Array.of(1, count))).toBe('appended')
      first.noteReplaced()
      expect(await first.append(Uint8Array.of(1, 20))).toBe('appended')
    })
  })
})
