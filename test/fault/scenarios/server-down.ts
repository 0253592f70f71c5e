import { aliveAgain, backInTime, judgeStream, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, type Scenario } from '../scenario.ts'

const downMs = { short: 8_000, full: 30_000 }

export const serverDown: Scenario = {
  name: 'server killed, spools hold',
  fault: size => `nats-server killed for ${downMs[size] / 1_000} s`,
  isShort: true,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await sleep(4_000)
      await server.kill()
      await sleep(downMs[size])
      await server.restart()
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
