import { aliveAgain, backInTime, judgeStream, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { atMost, exactly, finding, type Scenario } from '../scenario.ts'

/** The smallest spool that can be set, filled in seconds; or four times that, which three busy nodes fill in minutes. */
const sizes = {
  short: { downMs: 20_000, spoolBytes: 1 << 20, longLived: 1_000, shortPerSecond: 1_200 },
  full: { downMs: 300_000, spoolBytes: 4 << 20, longLived: 2_000, shortPerSecond: 1_200 },
}
const nodes = 3
/** What a process needs besides its spools: program, generator and books, before the fault. */
const growthMib = 40

export const spoolOverflow: Scenario = {
  name: 'server killed, spools overflow',
  fault: size =>
    `nats-server killed for ${sizes[size].downMs / 1_000} s, spools of ${sizes[size].spoolBytes >> 20} MiB`,
  isShort: true,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const { downMs, spoolBytes, longLived, shortPerSecond } = sizes[size]
      const collectors = await startCollectors(
        [server.url],
        { nodes, longLived, shortPerSecond },
        { spoolBytes },
      )
      stack.defer(() => collectors.end())
      await sleep(4_000)
      const before = await collectors.status()
      await server.kill()
      await sleep(downMs)
      const full = await collectors.status()
      await server.restart()
      const back = await aliveAgain(collectors)
      const exactFrom = Math.floor(Date.now() / 60_000) + 1
      await sleep(size === 'full' ? exactFrom * 60_000 + 62_000 - Date.now() : 2_000)
      const party = await stopped(collectors)
      const { ending } = party
      const mib = (bytes: number) => bytes / 2 ** 20
      const perCollector = mib(ending.largestRssBytes - before.largestRssBytes) / nodes
      return [
        finding('records were lost', ending.lost, ending.lost > 0),
        atMost('fullest spool', mib(full.spoolBytes), mib(spoolBytes), ' MiB'),
        atMost(
          'memory that the outage took per collector',
          perCollector,
          growthMib + mib(spoolBytes),
          ' MiB',
        ),
        exactly(
          'encoded − acknowledged − merged − lost',
          ending.encoded - ending.published - ending.merged - ending.lost,
          0,
        ),
        ...backInTime(back, size),
        exactly('records left behind at the end', ending.unacknowledged, 0),
        ...(await judgeStream(server.url, [party], {
          lost: { spool_full: ending.lost },
          exactFrom,
        })),
      ]
    }),
}
