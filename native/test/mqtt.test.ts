import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
  until,
} from './observed-capture.ts'
import { freePort } from './web-server.ts'

describe.skipIf(!canCapture || !has('mosquitto') || !has('mosquitto_pub'))('MQTT', () => {
  const observation = observeEachTest({ l7: 1 << L7Protocol.mqtt })

  it.each([0, 1, 2])('counts what the log of the broker counts, QoS %i', async qos => {
    const { group } = observation
    const folder = mkdtempSync(join(tmpdir(), 'sb-mqtt-'))
    try {
      const port = await freePort()
      const configuration = join(folder, 'broker.conf')
      writeFileSync(
        configuration,
        `listener ${port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_type all\nlog_dest stderr\n`,
      )
      const broker = group.spawn('mosquitto', '-c', configuration)
      let log = ''
      broker.stderr!.on('data', data => (log += data))
      const logged = (what: string): number => log.split(what).length - 1
      await until('the broker', () => log.includes('running'))

      const observed = observation.start()
      const where = ['-h', '127.0.0.1', '-p', `${port}`, '-q', `${qos}`]
      const messages = 120
      const listener = group.output('mosquitto_sub', ...where, '-t', 'plant/#', '-C', `${messages}`)
      await until('the subscription', () => logged('Sending SUBACK') === 1)
      const lines = join(folder, 'lines')
      writeFileSync(lines, Array.from({ length: messages }, (_, i) => `reading ${i}\n`).join(''))
      const publish = ['mosquitto_pub', ...where, '-t', 'plant/4711/temperature', '-l'].join(' ')
      await group.output('sh', '-c', `${publish} < ${lines}`)
      expect((await listener).split('\n').filter(line => line.startsWith('reading'))).toHaveLength(messages)
      await until('the end of both', () => logged('Received DISCONNECT') === 2)
      observed.close()

      expect(logged('Received PUBLISH')).toBe(messages)
      expect(observed.counters().l7).toMatchObject(nothingLost)
      for (const end of [server, client]) {
        const said = saidAt(observation.flushes, end)
        expect(said[`PUBLISH plant/{id}/temperature ${qos === 0 ? -1 : 0}`]).toBe(messages)
        expect(said['DELIVER plant/{id}/temperature -1']).toBe(logged('Sending PUBLISH'))
        expect(said[`SUBSCRIBE plant/# ${qos}`]).toBe(1)
        expect(said['CONNECT 0']).toBe(2)
      }
    } finally {
      await group.remove()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
