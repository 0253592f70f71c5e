import { setTimeout as sleep } from 'node:timers/promises'
import { dial, listen } from '../e2e/traffic.ts'
import { Lab } from '../lab/lab.ts'
import { until } from '../lab/until.ts'
import { Oap } from '../oap/oap.ts'
import { oapObstacle } from '../oap/oap-jars.ts'
import { OapReader, oapEntity } from '../oap/oap-reader.ts'
import type { Figure, Measurement, Skipped } from './figure.ts'
import { type Product, startProduct } from './product.ts'
import { median } from './statistics.ts'

const name = 'OAP: from the event to GraphQL of a real one'
const trials = 8
const port = 9100

async function measure(): Promise<readonly (Figure | Skipped)[]> {
  const obstacle = oapObstacle()
  if (obstacle !== undefined) return [{ name, skipped: obstacle }]
  const lab = await Lab.up({ nodes: 2, pods: 1 })
  let oap: Oap | undefined
  let product: Product | undefined
  try {
    oap = await Oap.start()
    const cgroups = { a: await lab.nodeCgroup('a'), b: await lab.nodeCgroup('b') }
    product = await startProduct(cgroups, ['--oap', oap.address])
    await listen(lab, 'b1', port, ['recv'])
    const counted = connectionsShown(lab, oap)
    const seconds: number[] = []
    for (let trial = 1; trial <= trials; trial++) {
      // at another moment of the interval each time
      await sleep(1_300 * trial)
      seconds.push(await timeToSee(lab, counted, trial))
    }
    seconds.sort((a, b) => a - b)
    return [
      {
        name,
        value: seconds.at(-1)!,
        unit: 's',
        reach: '<= 20',
        method: `from before a program dials another node until the metric of its service counts the connection: kernel, collectors, join, interval, OAP with a persistence period of 5 s; slowest of ${trials}, median ${median(seconds).toFixed(1)} s`,
        spread: [seconds[0]!, seconds.at(-1)!],
      },
    ]
  } finally {
    await product?.stop()
    await oap?.stop()
    await lab.down()
  }
}

/** How many connections of the caller OAP shows. */
function connectionsShown(lab: Lab, oap: Oap): () => Promise<number> {
  const reader = new OapReader(oap)
  const service = `peer.${lab.pod('a1').containerId.slice(0, 12)}`
  const metric = 'kubernetes_service_connect_cpm @'
  const firstMinute = Math.floor(Date.now() / 60_000)
  return async () => {
    const lastMinute = Math.floor(Date.now() / 60_000)
    const series = await reader.series(oapEntity(service), firstMinute, lastMinute)
    return [...series].reduce((sum, [key, count]) => sum + (key.startsWith(metric) ? count : 0), 0)
  }
}

async function timeToSee(lab: Lab, counted: () => Promise<number>, trial: number): Promise<number> {
  const begun = performance.now()
  await dial(lab, 'a1', lab.addresses('b1').v4, port, ['send:1000'])
  await until(`connection ${trial} shows`, async () => (await counted()) >= trial, {
    timeoutMs: 120_000,
    everyMs: 200,
  })
  return (performance.now() - begun) / 1000
}

export const measurements: readonly Measurement[] = [{ names: [name], kernel: true, measure }]
