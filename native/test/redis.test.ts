import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import {
  canCapture,
  client,
  has,
  nothingLost,
  observeEachTest,
  saidAt,
  server,
  settling,
  until,
} from './observed-capture.ts'
import { freePort } from './web-server.ts'

describe.skipIf(!canCapture || !has('redis-benchmark'))('Redis', () => {
  const observation = observeEachTest({ l7: 1 << L7Protocol.redis })

  it('counts what the server counts, a hundred commands in flight', async () => {
    const { group } = observation
    const port = await freePort()
    group.spawn('redis-server', '--port', `${port}`, '--save', '', '--bind', '127.0.0.1')
    const ask = (...words: string[]): string =>
      spawnSync('redis-cli', ['-p', `${port}`, ...words], { encoding: 'utf8' }).stdout
    await until('the server', () => ask('ECHO', 'here').includes('here'))
    const observed = observation.start()
    // So few at a time that their pieces fit into the ring, however late it is emptied.
    const settled = settling(observed)
    for (let round = 0; round < 5; round++) {
      const load = ['-n', '1000', '-c', '2', '-P', '100', '-d', '100', '-t', 'set,get']
      await group.output('redis-benchmark', '-p', `${port}`, ...load)
      await until('all pieces', settled)
    }
    const stats = ask('INFO', 'commandstats')
    const calls = (name: string): number =>
      Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1])
    observed.close()
    expect(calls('get')).toBeGreaterThanOrEqual(5000)
    expect(observed.counters().l7).toMatchObject(nothingLost)
    for (const end of [server, client]) {
      const said = saidAt(observation.flushes, end)
      expect(said['GET 0']).toBe(calls('get'))
      expect(said['SET 0']).toBe(calls('set'))
    }
  })
})
