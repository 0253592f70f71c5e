import { judgeStream, startCollectors, stopped, usualWorld } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { atMost, exactly, finding, type Scenario } from '../scenario.ts'

const lastsMs = { short: 10_000, full: 60_000 }
const times = 100
/** A tenth of the usual load on each of the many, so that a hundred times of it is still what one machine can make. */
const share = {
  longLived: usualWorld.longLived / 10,
  shortPerSecond: usualWorld.shortPerSecond / 10,
  udpPerSecond: 10,
}
const loudNodes = 2
/** A third more, because not every kind of record grows with it. */
const perNode = (1.35 * loudNodes * times) / usualWorld.nodes

export const noisyCollector: Scenario = {
  name: 'one collector is noisy',
  fault: size => `two nodes make ${times} times the records of any other for ${lastsMs[size] / 1_000} s`,
  isShort: false,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const others = await startCollectors([server.url], share)
      stack.defer(() => others.end())
      await sleep(8_000)
      const before = await others.status()
      const loud = await startCollectors([server.url], {
        prefix: 'loud',
        firstHost: 1_000,
        seed: 2,
        nodes: loudNodes,
        longLived: share.longLived * perNode,
        shortPerSecond: share.shortPerSecond * perNode,
        udpPerSecond: share.udpPerSecond * perNode,
      })
      stack.defer(() => loud.end())
      let longestQueue = 0
      const until = performance.now() + lastsMs[size]
      while (performance.now() < until) {
        await sleep(200)
        longestQueue = Math.max(longestQueue, (await others.status()).queued)
      }
      const [othersNow, loudNow] = [await others.status(), await loud.status()]
      const parties = [await stopped(others), await stopped(loud)]
      const [calm, noise] = parties.map(({ ending }) => ending)
      const usual = othersNow.encoded - before.encoded
      const ratio = loudNow.encoded / loudNodes / (usual / usualWorld.nodes)
      const flushes = longestQueue / (usual / (lastsMs[size] / usualWorld.flushMs))
      return [
        finding('records of a noisy node by those of another', ratio.toFixed(0), ratio >= times),
        atMost('flushes that waited at the others', flushes, 8),
        exactly('records lost by the others', calm.lost + calm.unacknowledged, 0),
        exactly('records lost by the noisy ones', noise.lost + noise.unacknowledged, 0),
        ...(await judgeStream(server.url, parties)),
      ]
    }),
}
