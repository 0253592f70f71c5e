import { judgeStream, startCollectors } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { atMost, exactly, type Scenario } from '../scenario.ts'

export const terminated: Scenario = {
  name: 'SIGTERM under load',
  fault: () => 'every collector is told to end in the middle of its work',
  isShort: true,
  obstacle: noServer,
  run: () =>
    onServer(async (server, stack) => {
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await sleep(6_300)
      const begun = performance.now()
      const ending = await collectors.terminate()
      return [
        atMost('ended after', (performance.now() - begun) / 1_000, 10, ' s'),
        exactly('records lost', ending.lost + ending.unacknowledged, 0),
        ...(await judgeStream(server.url, [{ collectors, ending }])),
      ]
    }),
}
