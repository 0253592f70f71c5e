import { JetStreamApiError } from '@nats-io/jetstream'
import { InvalidArgumentError, NoRespondersError, RequestError, TimeoutError } from '@nats-io/transport-node'
import { describe, expect, it } from 'vitest'
import { BusRefusal, refusalOf } from './bus-refusal.ts'

const api = (err_code: number, description: string) =>
  new JetStreamApiError({ code: 503, err_code, description })

describe('refusalOf', () => {
  it.each([
    ['stream_full', api(10077, 'maximum bytes exceeded')],
    ['stream_full', api(10077, 'maximum messages exceeded')],
    ['other', api(10077, 'raft: not leader')],
    ['wrong_stream', api(10060, 'expected stream does not match')],
    ['too_large', api(10054, 'message size exceeds maximum allowed')],
    ['no_resources', api(10023, 'insufficient resources')],
    ['other', api(1, 'something new')],
    ['timeout', new TimeoutError()],
    [
      'no_stream',
      new Error('jetstream is not enabled', {
        cause: new RequestError('', { cause: new NoRespondersError('s') }),
      }),
    ],
    ['too_large', InvalidArgumentError.format('payload', 'max_payload size exceeded')],
    ['other', new Error('boom')],
    ['other', 'boom'],
  ])('calls it %s', (kind, error) => {
    expect(refusalOf(error).kind).toBe(kind)
    expect(refusalOf(error).message).not.toBe('')
  })

  it('leaves a refusal as it is', () => {
    const refusal = new BusRefusal('disconnected')
    expect(refusalOf(refusal)).toBe(refusal)
  })
})
