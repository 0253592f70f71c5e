import type { AggregatorProcess } from '../aggregators.ts'
import { judgeApi, startAggregator, startCollectors, stopped } from '../arena.ts'
import { noServer, onServer, sleep } from '../on-server.ts'
import { exactly, type Scenario } from '../scenario.ts'

const deaf = 'n3'
/** The first change takes effect three minutes after its minute began; the next may follow at once. */
const changeMs = 4 * 60_000
const changes = { short: [8], full: [8, 4] }

/** Restarts the aggregator as one that was configured otherwise. */
async function change(aggregator: AggregatorProcess, partitions: number, epoch: number): Promise<void> {
  await aggregator.terminate()
  aggregator.launch({ flags: ['--partitions', String(partitions), '--partitions-epoch', String(epoch)] })
  await aggregator.ready(4 * 60_000)
}

export const partitionsChanged: Scenario = {
  name: 'partitions changed',
  fault: size =>
    `4 partitions become ${changes[size].join(', then ')} by configuration while records come; one collector never hears of it`,
  isShort: false,
  obstacle: noServer,
  run: size =>
    onServer(async (server, stack) => {
      const aggregator = await startAggregator([server.url])
      stack.defer(() => aggregator.end())
      const collectors = await startCollectors([server.url], {}, { deafNode: deaf })
      stack.defer(() => collectors.end())
      await sleep(20_000)
      for (const [n, partitions] of changes[size].entries()) {
        await change(aggregator, partitions, n + 2)
        await sleep(changeMs)
      }
      const booked = (await aggregator.partitions()).filter(({ phase }) => phase === 'owning').length
      const party = await stopped(collectors)
      return [
        exactly(
          'partitions booked, of all epochs',
          booked,
          changes[size].reduce((sum, count) => sum + count, 4),
        ),
        exactly('records lost', party.ending.lost + party.ending.unacknowledged, 0),
        ...(await judgeApi(aggregator, [party])),
      ]
    }),
}
