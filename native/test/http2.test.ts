import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import {
  canCapture,
  client,
  has,
  nothingLost,
  observeEachTest,
  server,
  settling,
  statusesAt,
  until,
} from './observed-capture.ts'
import { startNginx } from './web-server.ts'

describe.skipIf(!canCapture || !has('nginx') || !has('h2load'))('HTTP/2', () => {
  const observation = observeEachTest({ l7: 1 << L7Protocol.http2 })

  it('counts what h2load and the log of nginx count, with twenty streams at once', async () => {
    const { group } = observation
    const nginx = await startNginx(group, 'http2')
    try {
      writeFileSync(join(nginx.directory, '40k'), 'y'.repeat(40_000))
      const observed = observation.start()
      // So few at a time that their pieces fit into the ring, however late it is emptied.
      const settled = settling(observed)
      const told: Record<string, number> = {}
      for (let round = 0; round < 12; round++) {
        for (const path of ['1k', 'none', '40k']) {
          const url = `http://127.0.0.1:${nginx.port}/${path}`
          const out = await group.output('h2load', '-n', '200', '-c', '4', '-m', '20', url)
          const [, ok, missing] = /status codes: (\d+) 2xx, \d+ 3xx, (\d+) 4xx/.exec(out)!
          told[200] = (told[200] ?? 0) + Number(ok)
          told[404] = (told[404] ?? 0) + Number(missing)
          await until('all pieces', settled)
        }
      }
      expect(told).toEqual({ 200: 4800, 404: 2400 })
      expect(await nginx.finish()).toEqual(told)
      observed.close()
      expect(observed.counters().l7).toMatchObject(nothingLost)
      expect(statusesAt(observation.flushes, server)).toEqual(told)
      expect(statusesAt(observation.flushes, client)).toEqual(told)
    } finally {
      nginx.remove()
    }
  })
})
