import { until } from '../../lab/until.ts'
import { judgeReplicas, startAggregator, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, finding, type Scenario } from '../scenario.ts'

const pausedMs = 45_000
const flags = ['--take-over', '3s']

export const replicaPaused: Scenario = {
  name: 'replica paused past its turn',
  fault: () => `two replicas; one stopped for ${pausedMs / 1_000} s, the other takes over meanwhile`,
  isShort: false,
  obstacle: noServer,
  run: () =>
    onServer(async (server, stack) => {
      const replicas = await Promise.all(
        [0, 1].map(ordinal => startAggregator([server.url], { replicas: 2, ordinal, flags })),
      )
      for (const replica of replicas) stack.defer(() => replica.end())
      const [paused, other] = replicas
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await sleep(4_000)
      const owned = async () => (await other.partitions()).filter(({ phase }) => phase === 'owning').length
      const before = await owned()
      paused.signal('SIGSTOP')
      const begun = performance.now()
      await until('the other one books everything', async () => (await owned()) === 4, {
        timeoutMs: pausedMs + 30_000,
        everyMs: 200,
        describe: () => other.output.slice(-2_000),
      })
      const takenMs = performance.now() - begun
      await sleep(Math.max(0, pausedMs - takenMs))
      paused.signal('SIGCONT')
      const stillBooked = async () =>
        (await paused.partitions()).filter(({ phase }) => phase !== 'following').length
      const resumed = performance.now()
      await until('the paused one gives up its partitions', async () => (await stillBooked()) === 0, {
        timeoutMs: 60_000,
        everyMs: 200,
      })
      const givenUpMs = performance.now() - resumed
      await sleep(5_000)
      const party = await stopped(collectors)
      return [
        exactly('partitions of the other one before', before, 2),
        finding('it booked all of them after', `${(takenMs / 1_000).toFixed(1)} s`, takenMs < pausedMs),
        finding(
          'the resumed one gave them up after',
          `${(givenUpMs / 1_000).toFixed(1)} s`,
          givenUpMs < pausedMs / 3,
        ),
        exactly('records lost', party.ending.lost + party.ending.unacknowledged, 0),
        ...(await judgeReplicas(replicas, [party])),
      ]
    }),
}
