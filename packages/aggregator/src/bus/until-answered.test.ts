import { JetStreamApiError } from '@nats-io/jetstream'
import { errors } from '@nats-io/transport-node'
import { SkybraidError } from '@skybraid/shared'
import { expect, it } from 'vitest'
import { untilAnswered } from './until-answered.ts'

const nobodyStops = new AbortController().signal
const apiError = (code: number, err_code: number) =>
  new JetStreamApiError({ code, err_code, description: 'as told' })

function failing(...reasons: unknown[]) {
  const warnings: unknown[] = []
  let asked = 0
  const ask = async () => {
    const reason = reasons[asked++]
    if (reason !== undefined) throw reason
    return 'answer'
  }
  return { ask, log: { warn: (said: object) => void warnings.push(said) }, warnings, asked: () => asked }
}

it('asks again while nobody answers, and says so once', async () => {
  const silence = new SkybraidError('SB_BUS_STREAM', 'a stream', new errors.TimeoutError())
  const { ask, log, warnings, asked } = failing(silence, apiError(503, 10008))
  expect(await untilAnswered(ask, log, nobodyStops)).toBe('answer')
  expect(asked()).toBe(3)
  expect(warnings).toHaveLength(1)
})

it.each([
  apiError(400, 10047),
  new SkybraidError('SB_BUS_JETSTREAM', 'turned off'),
  new errors.PermissionViolationError('not allowed', 'publish', '$JS.API.STREAM.CREATE.x'),
])('takes an answer as it is: %s', async reason => {
  const { ask, log, asked } = failing(reason)
  await expect(untilAnswered(ask, log, nobodyStops)).rejects.toBe(reason)
  expect(asked()).toBe(1)
})

it('ends at once when it is told to', async () => {
  const stopping = new AbortController()
  const silence = new errors.TimeoutError()
  const { ask, log, asked } = failing(silence, silence)
  const waiting = untilAnswered(ask, log, stopping.signal)
  setImmediate(() => stopping.abort())
  await expect(waiting).rejects.toBe(silence)
  expect(asked()).toBe(2)
})
