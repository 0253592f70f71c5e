import { L7Protocol } from '@skybraid/shared'
import { describe, expect, it } from 'vitest'
import { protocolBits, protocolNames } from './protocol-list.ts'

describe('protocolBits', () => {
  it('has a bit for each name', () => {
    expect(protocolBits('http1')).toBe(1 << L7Protocol.http1)
    expect(protocolBits('redis, dns')).toBe((1 << L7Protocol.redis) | (1 << L7Protocol.dns))
    expect(protocolBits('off')).toBe(0)
  })

  it('takes all for every one of them', () => {
    expect(protocolBits('all')).toBe(protocolBits(protocolNames.join(',')))
    expect(protocolBits('all')).toBeGreaterThan(0)
  })

  it.each(['', 'http', 'http1;dns', 'unknown', 'grpc', 'all,http1'])('refuses %j', list => {
    expect(protocolBits(list)).toBeUndefined()
  })
})
