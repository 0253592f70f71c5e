import { aliveAgain, backInTime, judgeStream, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, type Scenario } from '../scenario.ts'

const pausedMs = 5_000
const periodMs = 20_000
const rounds = { short: 1, full: 4 }

export const serverPaused: Scenario = {
  name: 'server paused',
  fault: size =>
    `nats-server stopped for ${pausedMs / 1_000} of ${periodMs / 1_000} s, ${rounds[size]} times`,
  isShort: true,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      stack.defer(() => server.resume())
      await sleep(2_000)
      for (let round = 1; round <= rounds[size]; round++) {
        server.pause()
        await sleep(pausedMs)
        server.resume()
        if (round < rounds[size]) await sleep(periodMs - pausedMs)
      }
      const back = await aliveAgain(collectors)
      await sleep(2_000)
      const party = await stopped(collectors)
      const { ending } = party
      return [
        ...backInTime(back, size),
        exactly('records lost', ending.lost + ending.unacknowledged, 0),
        ...(await judgeStream(server.url, [party])),
      ]
    }),
}
