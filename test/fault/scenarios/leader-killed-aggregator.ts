import { flowStream, rollupStream } from '../../../packages/shared/src/nats/index.ts'
import { NatsCluster } from '../../nats/nats-cluster.ts'
import {
  aliveAgain,
  backInTime,
  cluster,
  judgeApi,
  judgeReplicas,
  startAggregator,
  startCollectors,
  stopped,
} from '../arena.ts'
import { noServer, sleep } from '../on-server.ts'
import { exactly, type Scenario } from '../scenario.ts'

const rounds = { short: 1, full: 4 }
const flags = ['--stream-replicas', '3']

/** Both streams matter: FLOW is read through ordered consumers, and to ROLLUP claims and rounds are appended. */
export const leaderKilledAggregator: Scenario = {
  name: 'leader of three replicas killed under an aggregator',
  fault: size =>
    `three servers, streams with three replicas, skybraid aggregator; the leader of the batches, then that of the closed minutes killed, ${rounds[size]} times in all, and back after 5 s`,
  isShort: false,
  obstacle: noServer,
  async run(size) {
    await using stack = new AsyncDisposableStack()
    const servers = await NatsCluster.start()
    stack.defer(() => servers.stop())
    const aggregator = await startAggregator(servers.urls, { flags })
    stack.defer(() => aggregator.end())
    const collectors = await startCollectors(servers.urls)
    stack.defer(() => collectors.end())
    await sleep(4_000)
    const back = { firstMs: 0, allMs: 0 }
    const streams = [flowStream, rollupStream].map(of => of(cluster))
    for (let round = 0; round < rounds[size]; round++) {
      const leader = await servers.leaderOf(streams[round % streams.length]!)
      // within these seconds some minute is closed and appended, in a full run
      await leader.kill()
      const { firstMs, allMs } = await aliveAgain(collectors)
      back.firstMs = Math.max(back.firstMs, firstMs)
      back.allMs = Math.max(back.allMs, allMs)
      await sleep(5_000)
      await leader.restart()
      for (const stream of streams) await servers.caughtUp(stream)
      await sleep(size === 'full' ? 15_000 : 0)
    }
    const booked = (await aggregator.partitions()).filter(({ phase }) => phase === 'owning').length
    const party = await stopped(collectors)
    return [
      ...backInTime(back, size),
      exactly('partitions booked at the end', booked, 4),
      exactly('records lost', party.ending.lost + party.ending.unacknowledged, 0),
      ...(await judgeApi(aggregator, [party])),
      ...(await judgeReplicas([aggregator], [party])),
    ]
  },
}
