import { NatsServer } from '../../nats/nats-server.ts'
import { judgeStream, makeStreams, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { startRelay } from '../relay.ts'
import { exactly, finding, type Scenario } from '../scenario.ts'

const doubledPercent = 30
const spreadMs = 10_000
const lastsMs = { short: 12_000, full: 90_000 }

/** Random but the same every time. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

export const duplicates: Scenario = {
  name: 'duplicates and reordering',
  fault: size =>
    `${doubledPercent} % of batches twice, all up to ${spreadMs / 1_000} s late, for ${lastsMs[size] / 1_000} s`,
  isShort: true,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const other = await NatsServer.start()
      stack.defer(() => other.stop())
      await makeStreams(other.url)
      const relay = await startRelay({
        fromUrl: server.url,
        toUrl: other.url,
        cluster: 'fault',
        doubledPercent,
        spreadMs,
        random: seeded(1),
        lastsMs: 10 * 60_000,
      })
      stack.defer(() => relay.close())
      const collectors = await startCollectors([server.url])
      stack.defer(() => collectors.end())
      await sleep(lastsMs[size])
      const party = await stopped(collectors)
      const { ending } = party
      await relay.drained()
      const { taken, doubled, given } = relay.counts
      return [
        finding('batches came twice', `${doubled} of ${taken}`, doubled > taken / 5),
        exactly('batches in the stream', given, taken + doubled),
        exactly('records lost', ending.lost + ending.unacknowledged, 0),
        ...(await judgeStream(other.url, [party])),
      ]
    }),
}
