import { aliveAgain, backInTime, judgeStream, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { TcpProxy } from '../proxy.ts'
import { atMost, exactly, type Scenario } from '../scenario.ts'

const count = { short: 200, full: 500 }
const downMs = { short: 10_000, full: 30_000 }

/** The most connections within any second. */
function busiestSecond(atMs: readonly number[]): number {
  let most = 0
  for (let from = 0, to = 0; to < atMs.length; to++) {
    while (atMs[to] - atMs[from] >= 1_000) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}

export const reconnectStorm: Scenario = {
  name: 'everybody reconnects',
  fault: size => `${count[size]} collectors lose the server for ${downMs[size] / 1_000} s`,
  isShort: false,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const proxy = await TcpProxy.start({ toPort: server.port, lastsMs: 300_000 })
      stack.defer(() => proxy.close())
      const collectors = await startCollectors([proxy.url], {
        nodes: count[size],
        services: count[size],
        callersPerService: 2,
        longLived: 2_000,
        flushMs: 1_000,
      })
      stack.defer(() => collectors.end())
      await aliveAgain(collectors)
      proxy.refuse(true)
      proxy.cut()
      await sleep(downMs[size])
      const before = proxy.connectedAtMs.length
      proxy.refuse(false)
      const back = await aliveAgain(collectors)
      const party = await stopped(collectors)
      const { ending } = party
      return [
        atMost(
          'attempts a second while it is away',
          busiestSecond(proxy.connectedAtMs.slice(count[size], before)),
          50,
        ),
        atMost('connects a second once it is back', busiestSecond(proxy.connectedAtMs.slice(before)), 50),
        ...backInTime(back, size),
        exactly('records lost', ending.lost + ending.unacknowledged, 0),
        ...(await judgeStream(server.url, [party])),
      ]
    }),
}
