import { until } from '../../lab/until.ts'
import { aliveAgain, backInTime, judgeStream, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { TcpProxy } from '../proxy.ts'
import { exactly, type Scenario, within } from '../scenario.ts'

export const halfOpen: Scenario = {
  name: 'half-open TCP',
  fault: () => 'nothing passes any more over connections that stay open; new ones pass',
  isShort: false,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const proxy = await TcpProxy.start({ toPort: server.port, lastsMs: 180_000 })
      stack.defer(() => proxy.close())
      const collectors = await startCollectors([proxy.url])
      stack.defer(() => collectors.end())
      await sleep(3_000)
      proxy.swallowExisting()
      const begun = performance.now()
      const nodes = Object.keys((await collectors.status()).nodes).length
      await until('every collector notices', async () => (await collectors.status()).disconnects >= nodes, {
        timeoutMs: 120_000,
        everyMs: 100,
      })
      const noticedMs = performance.now() - begun
      const back = await aliveAgain(collectors)
      await sleep(1_000)
      const party = await stopped(collectors)
      const { ending } = party
      return [
        within('noticed by all after', size, noticedMs / 1_000, 30),
        ...backInTime(back, size),
        exactly('records lost', ending.lost + ending.unacknowledged, 0),
        ...(await judgeStream(server.url, [party])),
      ]
    }),
}
