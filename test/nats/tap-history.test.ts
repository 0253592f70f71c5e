import { describe, expect, it } from 'vitest'
import { readHistory } from '../../packages/cli/src/tap/history.ts'
import type { NatsLink } from '../../packages/shared/src/nats/index.ts'
import { connectSender } from './batch-sender.ts'
import { afterTest, serverForTest } from './cleanup.ts'

describe('readHistory', () => {
  it('ends also if what waited has expired before it was delivered', async () => {
    const server = await serverForTest()
    const sender = await connectSender(server.url)
    afterTest(() => sender.link.close())
    await sender.sendTens(1, 3)
    const { link } = sender
    const expiring = {
      ...link,
      js: {
        consumers: {
          async get(...args: Parameters<NatsLink['js']['consumers']['get']>) {
            const consumer = await link.js.consumers.get(...args)
            await link.jsm.streams.purge('SKYBRAID_FLOW_local')
            return consumer
          },
        },
      },
    } as unknown as NatsLink
    const reading = readHistory({
      link: expiring,
      cluster: 'local',
      subject: 'skybraid.v1.local.flow.>',
      start: { sequence: 1 },
      lastSequence: undefined,
      signal: new AbortController().signal,
    })
    expect(await reading.next()).toEqual({ done: true, value: undefined })
  })
})
