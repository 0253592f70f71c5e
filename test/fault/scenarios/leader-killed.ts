import { flowStream } from '../../../packages/shared/src/nats/index.ts'
import { NatsCluster } from '../../nats/nats-cluster.ts'
import {
  aliveAgain,
  backInTime,
  cluster,
  judgeStream,
  makeStreams,
  startCollectors,
  stopped,
} from '../arena.ts'
import { noServer, sleep } from '../on-server.ts'
import { exactly, type Scenario } from '../scenario.ts'

const rounds = { short: 1, full: 3 }

export const leaderKilled: Scenario = {
  name: 'leader of three replicas killed',
  fault: size =>
    `three servers, streams with three replicas; the leader killed ${rounds[size]} times and back after 5 s`,
  isShort: true,
  obstacle: noServer,
  async run(size) {
    await using stack = new AsyncDisposableStack()
    const servers = await NatsCluster.start()
    stack.defer(() => servers.stop())
    await makeStreams(servers.urls[0], ['--stream-replicas', '3'])
    const collectors = await startCollectors(servers.urls)
    stack.defer(() => collectors.end())
    await sleep(3_000)
    const back = { firstMs: 0, allMs: 0 }
    for (let round = 1; round <= rounds[size]; round++) {
      const leader = await servers.leaderOf(flowStream(cluster))
      await leader.kill()
      const { firstMs, allMs } = await aliveAgain(collectors)
      back.firstMs = Math.max(back.firstMs, firstMs)
      back.allMs = Math.max(back.allMs, allMs)
      await sleep(5_000)
      await leader.restart()
      await servers.caughtUp(flowStream(cluster))
    }
    const party = await stopped(collectors)
    const { ending } = party
    return [
      ...backInTime(back, size),
      exactly('records lost', ending.lost + ending.unacknowledged, 0),
      ...(await judgeStream(servers.urls[0], [party])),
    ]
  },
}
