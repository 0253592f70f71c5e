import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab/lab.ts'
import { startNginx } from '../lab/nginx.ts'
import { programFile } from './bench-program.ts'
import { type BusProduct, startBusProduct } from './bus-product.ts'
import type { Measurement } from './figure.ts'

const perSecond = 1_000
const seconds = 60
const connections = 20
const port = 8080
/** One send and one receive at each end of a request. */
const eventsPerRequest = 4
/** Addresses, ports, time, process, its name, the socket, bytes; without what carries it. */
const eventBytes = 64

const sharedName = 'bytes leaving two nodes, against one event per send and receive: saved'
const rateName = 'bytes leaving a node of keep-alive HTTP at 1,000 requests/s'

async function measure() {
  const lab = await Lab.up({ nodes: 2, pods: 1 })
  let product: BusProduct | undefined
  try {
    const started = await startBusProduct({ a: await lab.nodeCgroup('a'), b: await lab.nodeCgroup('b') })
    product = started
    const nginx = await startNginx(lab, 'b1', { port })
    const left = async () => (await started.bytesLeft('a')) + (await started.bytesLeft('b'))
    const before = await left()
    const url = `http://${lab.addresses('b1').v4}:${port}/1k`
    const load = [url, connections, perSecond, seconds].map(String)
    const client = await lab.spawn('a1', [process.execPath, programFile('paced-requests.mjs'), ...load])
    const { stdout, stderr } = await client.ended
    const [, answered, took] = /^answered (\d+) in ([\d.]+)/.exec(stdout) ?? []
    if (Number(answered) !== perSecond * seconds) throw new Error(`${answered} answered: ${stderr}`)
    // what is still to be told of it: the last readings and the ends
    await nginx.stop()
    await sleep(12_000)
    const bytes = (await left()) - before
    const events = Number(answered) * eventsPerRequest * eventBytes
    const method = `${answered} requests over ${connections} connections between two nodes in ${took} s and 12 s after them; what the server took from both collectors, headers included`
    return [
      {
        name: sharedName,
        value: 100 * (1 - bytes / events),
        unit: '%',
        reach: '>= 90',
        method: `${method}; against ${eventsPerRequest} events a request of ${eventBytes} bytes, bare`,
      },
      { name: rateName, value: bytes / 2 / (Number(took) + 12), unit: 'B/s', reach: '', method },
    ]
  } finally {
    await product?.stop()
    await lab.down()
  }
}

export const measurements: readonly Measurement[] = [{ names: [sharedName, rateName], kernel: true, measure }]
