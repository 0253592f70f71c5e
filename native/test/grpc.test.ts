import { describe, expect, it } from 'vitest'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import { findPython } from '../../test/otlp/find-python.ts'
import { decodeFlushes, roleOf, speaksOf } from './decode.ts'
import { secret, startGrpc } from './grpc-ends.ts'
import {
  canCapture,
  client,
  nothingLost,
  observeEachTest,
  saidAt,
  server,
  settling,
  until,
} from './observed-capture.ts'

const found = canCapture ? findPython() : 'no capture'
const python = typeof found === 'string' ? undefined : found
const hang = 'shop.v1.Cart/Hang'

/** Method, calls, calls at once, deadline. */
const rounds = [
  ['Get', 300, 100, 0],
  ['Missing', 20, 20, 0],
  ['Denied', 20, 20, 0],
  ['None', 5, 5, 0],
  ['List', 10, 5, 0],
  ['Put', 10, 5, 0],
  ['Chat', 10, 5, 0],
  ['Hang', 4, 4, 0],
  ['Hang', 4, 4, 300],
] as const

/** An end that gives up at its deadline resets the stream as if it cancelled, unless the server was quicker: one key. */
function withoutReasonOfHanging(counts: Readonly<Record<string, number>>): Record<string, number> {
  const { [`${hang} 1`]: cancelled = 0, [`${hang} 4`]: late = 0, ...others } = counts
  return { ...others, [hang]: cancelled + late }
}

describe.skipIf(!canCapture)('gRPC', () => {
  const observation = observeEachTest({ l7: 1 << L7Protocol.http2 })

  const libraries = ['grpc-js', ...(python === undefined ? [] : ['Python'])]
  const pairs = libraries.flatMap(asks => libraries.map(answers => [asks, answers] as const))

  it.each(pairs)('counts what the client counts, by method and status: %s asks %s', async (asks, answers) => {
    const { group } = observation
    const end = (name: string) => startGrpc(group, name === 'Python' ? python : undefined)
    const [tellServer, tellClient] = [end(answers), end(asks)]
    const port = await tellServer('serve')
    const observed = observation.start()
    const settled = settling(observed)
    const truth: Record<string, number> = {}
    for (const [method, ...numbers] of rounds) {
      const counts = (await tellClient(`call ${port} ${method} ${numbers.join(' ')}`)) as typeof truth
      for (const [key, count] of Object.entries(counts)) truth[key] = (truth[key] ?? 0) + count
      await until('all pieces', settled)
    }
    observed.close()

    expect(withoutReasonOfHanging(truth)).toEqual({
      'shop.v1.Cart/Get 0': 300,
      'shop.v1.Cart/Missing 5': 20,
      'shop.v1.Cart/Denied 7': 20,
      'shop.v1.Cart/None 12': 5,
      'shop.v1.Cart/List 0': 10,
      'shop.v1.Cart/Put 0': 10,
      'shop.v1.Cart/Chat 0': 10,
      [hang]: 8,
    })
    expect(observed.counters().l7).toMatchObject(nothingLost)
    for (const role of [client, server])
      expect(withoutReasonOfHanging(saidAt(observation.flushes, role))).toEqual(withoutReasonOfHanging(truth))

    const said = decodeFlushes(observation.flushes).flatMap(frame => frame.said)
    expect(new Set(said.map(row => speaksOf(row.record)))).toEqual(new Set([L7Protocol.grpc]))
    for (const { operation, status, timeless, isError, record } of said) {
      const streams = /(List|Put|Chat)$/.test(operation)
      if (operation !== hang)
        expect([operation, roleOf(record), timeless]).toEqual([operation, roleOf(record), streams])
      expect([operation, isError]).toEqual([operation, status !== 0])
    }
    for (const flush of observation.flushes)
      expect(Buffer.from(flush).includes(secret), 'a secret on the wire').toBe(false)
  })
})
