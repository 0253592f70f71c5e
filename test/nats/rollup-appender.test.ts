import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRollupAppender } from '../../packages/aggregator/src/bus/rollup-appender.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import {
  connectNats,
  ensureStreams,
  type NatsLink,
  natsConfigSchema,
  streamConfigSchema,
} from '../../packages/shared/src/nats/index.ts'
import { NatsServer } from './nats-server.ts'

const cluster = 'append'
const log = { info() {}, warn() {} }

describe('createRollupAppender', () => {
  let server: NatsServer
  let link: NatsLink

  beforeAll(async () => {
    server = await NatsServer.start()
    const nats = loadConfig(natsConfigSchema, { args: ['--nats', server.url], env: {} })
    const streams = loadConfig(streamConfigSchema, { args: [], env: {} })
    if (!nats.ok || !streams.ok) throw new Error('configuration')
    link = await connectNats({ config: nats.config, name: 'appender', log })
    await ensureStreams(link.jsm, cluster, streams.config)
  })
  afterAll(async () => {
    await link.close()
    await server.stop()
  })

  const appender = (partition: number) =>
    createRollupAppender(link, cluster, partition, new AbortController().signal)

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
})
