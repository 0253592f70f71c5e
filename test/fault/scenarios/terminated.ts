import { judgeStream, startCollectors } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, type Scenario, within } from '../scenario.ts'

export const terminated: Scenario = {
  name: 'SIGTERM under load',
  fault: () => 'every collector is told to end in the middle of its work',
  isShort: true,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await sleep(6_300)
      const begun = performance.now()
      const ending = await collectors.terminate()
      return [
        within('ended after', size, (performance.now() - begun) / 1_000, 10),
        exactly('records lost', ending.lost + ending.unacknowledged, 0),
        ...(await judgeStream(server.url, [{ collectors, ending }])),
      ]
    }),
}
