import { until } from '../../lab/until.ts'
import type { AggregatorProcess } from '../aggregators.ts'
import { judgeReplicas, startAggregator, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, type Scenario } from '../scenario.ts'

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
      const bookedBy = async (each: AggregatorProcess) =>
        (await each.partitions()).filter(({ phase }) => phase === 'owning').length
      await until(
        'each books two partitions',
        async () => (await bookedBy(first)) === 2 && (await bookedBy(second)) === 2,
        {
          timeoutMs: 60_000,
          everyMs: 200,
          describe: () => first.output.slice(-1_000) + second.output.slice(-1_000),
        },
      )
      await sleep(5_000)
      const party = await stopped(collectors)
      return [
        exactly('exit code of the first one', code ?? -1, 0),
        exactly('records lost', party.ending.lost + party.ending.unacknowledged, 0),
        ...(await judgeReplicas([first, second], [party])),
      ]
    }),
}
