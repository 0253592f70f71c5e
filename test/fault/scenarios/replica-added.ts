import { judgeApi, startAggregator, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, type Scenario } from '../scenario.ts'

/** Until every minute of the run is closed and its segments are everywhere. */
const closedAfterMs = 45_000

export const replicaAdded: Scenario = {
  name: 'one replica becomes two',
  fault: () => 'a second replica starts, then the first one starts again as one of two',
  isShort: false,
  obstacle: noServer,
  run: () =>
    onServer(async (server, stack) => {
      const first = await startAggregator([server.url])
      stack.defer(() => first.end())
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await sleep(5_000)
      const second = await startAggregator([server.url], { replicas: 2, ordinal: 1 })
      stack.defer(() => second.end())
      await sleep(5_000)
      const code = await first.terminate()
      first.launch({ replicas: 2, ordinal: 0 })
      await first.ready()
      await sleep(5_000)
      const owned = await Promise.all(
        [first, second].map(
          async each => (await each.partitions()).filter(({ phase }) => phase === 'owning').length,
        ),
      )
      const party = await stopped(collectors)
      await sleep(60_000 - (Date.now() % 60_000) + closedAfterMs)
      return [
        exactly('exit code of the first one', code ?? -1, 0),
        exactly('partitions of the first one', owned[0], 2),
        exactly('partitions of the second one', owned[1], 2),
        exactly('records lost', party.ending.lost + party.ending.unacknowledged, 0),
        ...(await judgeApi(first, [party])),
        ...(await judgeApi(second, [party])),
      ]
    }),
}
