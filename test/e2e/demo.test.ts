import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Lab } from '../lab/lab.ts'
import { netnsPrefix } from '../lab/names.ts'
import { namespacesWith } from '../lab/namespaces.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { Product } from './product.ts'
import { EdgeNames } from './seen-edge.ts'

const missing = whyNoLab()

describe.skipIf(missing !== '')(`--demo ${missing}`, () => {
  let product: Product
  let lab: Lab
  const names = new EdgeNames()
  beforeAll(async () => {
    await Lab.removeStale()
    product = await Product.run(['--demo', '--flush', '200ms'])
    lab = await Lab.attach(`demo-${product.pid}`)
    names.learn(lab)
  })
  afterAll(() => product?.stop())

  const edges = async () => names.edges(await product.topology())

  it('shows the shop, both ends of every conversation inside the cluster', async () => {
    const pairs = ['front → api-1', 'front → api-2', 'front → images', 'producer → redis', 'consumer → redis']
    await vi.waitFor(
      async () => {
        const both = (await edges()).filter(e => e.protocol === 'tcp' && e.observed === 'both')
        expect(both.map(e => `${e.client} → ${e.server}`)).toEqual(expect.arrayContaining(pairs))
      },
      { timeout: 20_000, interval: 200 },
    )
  })

  it('shows what is wrong with it: a loss in one direction, a service that refuses', async () => {
    await vi.waitFor(
      async () => {
        const seen = await edges()
        const backup = seen.find(e => e.server === 'images' && e.client.includes('backup'))
        expect(backup?.tcp?.loss.serverToClient.segmentsLost).toBeGreaterThan(0)
        expect(backup?.tcp?.loss.clientToServer.segmentsLost).toBe(0)
        const pay = seen.find(e => e.client === 'front' && (e.tcp?.failures.refused ?? 0) > 0)
        expect(pay).toMatchObject({ observed: 'client', tcp: { opened: 0 } })
      },
      { timeout: 30_000, interval: 200 },
    )
  })

  it('names what is outside by DNS', async () => {
    await vi.waitFor(
      async () => {
        const outside = (await edges()).filter(e => e.client === 'consumer').map(e => e.server)
        expect(outside).toContain('partner.example')
      },
      { timeout: 20_000, interval: 200 },
    )
  })

  it('removes it all on exit', async () => {
    expect(await product.stop(), product.output).toBe(0)
    expect(await namespacesWith(netnsPrefix(lab.id))).toEqual([])
    await expect(Lab.attach(lab.id)).rejects.toThrow('no lab')
  })
})
