import { type DiscardPolicy, jetstreamManager, type StreamConfig } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { flowStream } from '../../../packages/shared/src/nats/index.ts'
import { until } from '../../lab/until.ts'
import { aliveAgain, backInTime, cluster, judgeStream, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, finding, type Scenario } from '../scenario.ts'

const fullMs = { short: 6_000, full: 30_000 }
const smallBytes = 2 << 20

async function changeStream(url: string, change: Partial<StreamConfig>): Promise<void> {
  const connection = await connect({ servers: url, noAsyncTraces: true })
  try {
    const jsm = await jetstreamManager(connection)
    await jsm.streams.update(flowStream(cluster), change)
  } finally {
    await connection.close()
  }
}

export const streamFull: Scenario = {
  name: 'stream full',
  fault: size =>
    `a stream of ${smallBytes >> 20} MiB that refuses what is new, full for ${fullMs[size] / 1_000} s, then enlarged`,
  isShort: true,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const smallest = { max_bytes: smallBytes, discard: 'new' as DiscardPolicy }
      await changeStream(server.url, smallest)
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await until('the stream is full', async () => (await collectors.status()).refusals.stream_full > 0)
      await sleep(fullMs[size])
      const { refusals } = await collectors.status()
      await changeStream(server.url, { max_bytes: 1 << 30 })
      const back = await aliveAgain(collectors)
      await sleep(2_000)
      const party = await stopped(collectors)
      const { ending } = party
      return [
        finding('collectors were told why', `stream_full ${refusals.stream_full} times`, true),
        ...backInTime(back, size),
        exactly('records lost', ending.lost + ending.unacknowledged, 0),
        ...(await judgeStream(server.url, [party])),
      ]
    }),
}
