import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsCluster } from './nats-cluster.ts'

let cluster: NatsCluster
beforeAll(async () => {
  cluster = await NatsCluster.start()
})
afterAll(() => cluster?.stop())

describe('NatsCluster', () => {
  it('keeps a stream of three replicas writable when its leader is killed, and takes the killed one back', async () => {
    const nc = await connect({ servers: cluster.urls, maxReconnectAttempts: -1, reconnectTimeWait: 100 })
    const patient = { timeout: 60_000 }
    const jsm = await jetstreamManager(nc, patient)
    const js = jetstream(nc, patient)
    await jsm.streams.add({ name: 'S', subjects: ['s.>'], num_replicas: 3 })
    await js.publish('s.1', 'before')
    await cluster.caughtUp('S')
    const first = await cluster.leaderOf('S')
    await first.kill()
    const second = await cluster.leaderOf('S')
    expect(second).not.toBe(first)
    await js.publish('s.1', 'after', { retries: 100 })
    await first.restart()
    await cluster.ready()
    await cluster.caughtUp('S')
    expect((await jsm.streams.info('S')).state.messages).toBe(2)
    await nc.close()
  })
})
