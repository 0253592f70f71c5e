import { judgeApi, startAggregator, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, type Scenario, within } from '../scenario.ts'

const kills = { short: 2, full: 20 }

export const aggregatorKilled: Scenario = {
  name: 'aggregator killed',
  fault: size => `skybraid aggregator killed ${kills[size]} times at random points and started again`,
  isShort: true,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const aggregator = await startAggregator([server.url])
      stack.defer(() => aggregator.end())
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await sleep(3_000)
      let [answersMs, readyMs] = [0, 0]
      for (let kill = 0; kill < kills[size]; kill++) {
        // also in the middle of its start
        await sleep(200 + Math.random() * 5_000)
        await aggregator.kill()
        aggregator.launch()
        if (kill % 3 === 2) continue
        const answered = await aggregator.answering()
        answersMs = Math.max(answersMs, answered)
        readyMs = Math.max(readyMs, answered + (await aggregator.ready()))
      }
      await aggregator.ready()
      await sleep(2_000)
      const party = await stopped(collectors)
      return [
        within('the API answers again after', size, answersMs / 1_000, 10),
        // it reads six minutes again, to know the connections that were open
        within('ready again after', size, readyMs / 1_000, 60),
        exactly('records lost', party.ending.lost + party.ending.unacknowledged, 0),
        ...(await judgeApi(aggregator, [party])),
      ]
    }),
}
