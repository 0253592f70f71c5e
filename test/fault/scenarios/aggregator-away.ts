import { judgeApi, startAggregator, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, finding, type Scenario } from '../scenario.ts'

const awayMs = { short: 30_000, full: 180_000 }

export const aggregatorAway: Scenario = {
  name: 'aggregator away',
  fault: size => `no aggregator for ${awayMs[size] / 1_000} s while collectors go on`,
  isShort: false,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const aggregator = await startAggregator([server.url])
      stack.defer(() => aggregator.end())
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await sleep(5_000)
      await aggregator.kill()
      await sleep(awayMs[size])
      aggregator.launch()
      await aggregator.answering()
      const begun = performance.now()
      await aggregator.ready(awayMs[size])
      const drainedMs = performance.now() - begun
      await sleep(2_000)
      const party = await stopped(collectors)
      const times = (awayMs[size] + drainedMs) / drainedMs
      return [
        finding('backlog drained at ≥ 4 × real time', `${times.toFixed(0)} ×`, times >= 4),
        exactly('records lost', party.ending.lost + party.ending.unacknowledged, 0),
        ...(await judgeApi(aggregator, [party])),
      ]
    }),
}
