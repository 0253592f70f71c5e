import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compressFlowPayload, decodeFlowPayload, sniffFlowEncoding } from './flow-body.ts'
import { type FlowMessageHead, flowHead, flowHeaders, flowMessageId } from './flow-message.ts'
import { type NatsConfig, natsConfigProblem, natsConfigSchema } from './options.ts'
import { compare } from './streams.ts'
import { flowSubject, parseFlowSubject, rollupSubject } from './subjects.ts'

const head: FlowMessageHead = {
  schemaVersion: 1,
  node: 'worker.a',
  bootId: '0123456789abcdef',
  partition: 3,
  sequence: 2 ** 40,
  recordCount: 1000,
  encoding: 'zstd',
}

describe('subjects', () => {
  it('name a node without dots, and are read back', () => {
    expect(flowSubject('prod', 3, 'worker.a')).toBe('skybraid.v1.prod.flow.3.worker_a')
    expect(parseFlowSubject('skybraid.v1.prod.flow.3.worker_a')).toEqual({
      cluster: 'prod',
      partition: 3,
      node: 'worker_a',
    })
    expect(rollupSubject('prod', 12)).toBe('skybraid.v1.prod.rollup.12')
  })

  it.each([
    'skybraid.v1.prod.flow.3',
    'skybraid.v1.prod.flow.03.a',
    'skybraid.v1.prod.flow.3.a.b',
    'skybraid.v1.prod.rollup.3',
    'skybraid.v1.prod.flow.-1.a',
    'skybraid.v1.prod.flow.3.*',
  ])('%s is none', subject => {
    expect(parseFlowSubject(subject)).toBeUndefined()
  })

  it('any text is a flow subject or none, without an error', () => {
    fc.assert(fc.property(fc.string(), text => parseFlowSubject(text) === undefined))
  })
})

describe('headers of a batch', () => {
  it('say what is in it', () => {
    const headers = new Map(flowHeaders(head))
    expect(flowHead(name => headers.get(name))).toEqual(head)
    const raw = new Map(flowHeaders({ ...head, encoding: 'raw' }))
    expect(raw.has('Content-Encoding')).toBe(false)
    expect(flowHead(name => raw.get(name))).toEqual({ ...head, encoding: 'raw' })
    expect(flowMessageId(head)).toBe('0123456789abcdef.3.1099511627776')
  })

  it('are refused when one is missing or malformed', () => {
    const all = flowHeaders(head)
    for (const [gone] of all.filter(([name]) => name !== 'Content-Encoding')) {
      const headers = new Map(all.filter(([name]) => name !== gone))
      expect(flowHead(name => headers.get(name))).toBeUndefined()
    }
    for (const [name, value] of [
      ['Skybraid-Sequence', '1e3'],
      ['Skybraid-Count', '-1'],
      ['Skybraid-Boot', 'xyz'],
      ['Content-Encoding', 'gzip'],
    ]) {
      const headers = new Map([...all, [name, value]] as [string, string][])
      expect(flowHead(of => headers.get(of))).toBeUndefined()
    }
  })
})

describe('payloads', () => {
  it('come back from zstd, are told apart, and never grow beyond the limit', () => {
    const batch = new Uint8Array(100_000).fill(7)
    const packed = compressFlowPayload(batch)
    expect(packed.length).toBeLessThan(1_000)
    expect(sniffFlowEncoding(packed)).toBe('zstd')
    expect(sniffFlowEncoding(batch)).toBe('raw')
    expect(decodeFlowPayload(packed, 'zstd', 100_000)).toEqual(Buffer.from(batch))
    expect(decodeFlowPayload(packed, 'zstd', 99_999)).toBeUndefined()
    expect(decodeFlowPayload(batch, 'raw', 99_999)).toBeUndefined()
    expect(decodeFlowPayload(batch, 'zstd', 1 << 20)).toBeUndefined()
  })
})

describe('options', () => {
  const none = { nats: ['nats://a'], natsInboxPrefix: '_INBOX' } as unknown as NatsConfig

  it('allow one way to log in', () => {
    expect(natsConfigProblem(none)).toBeUndefined()
    expect(natsConfigProblem({ ...none, natsTokenFile: 't' })).toBeUndefined()
    expect(natsConfigProblem({ ...none, natsTokenFile: 't', natsCredsFile: 'c' })).toMatch(
      /exclude each other/,
    )
    expect(natsConfigProblem({ ...none, natsUser: 'u' })).toMatch(/go together/)
    expect(natsConfigProblem({ ...none, natsCertFile: 'c' })).toMatch(/go together/)
  })

  it('take addresses of servers, and never repeat a password', () => {
    const check = natsConfigSchema.nats.check
    expect(check(['nats://127.0.0.1:4222', 'tls://bus.example', 'bus'])).toBeUndefined()
    expect(check(['http://a'])).toMatch(/nats:\/\/HOST:PORT/)
    const problem = check(['nats://me:hunter2@a'])
    expect(problem).toMatch(/--nats-password-file/)
    expect(problem).not.toContain('hunter2')
  })
})

describe('compare', () => {
  it('tells every setting that differs', () => {
    const wanted = { name: 's', subjects: ['a'], max_age: 5, num_replicas: 1 } as Parameters<
      typeof compare
    >[0]
    expect(compare(wanted, { ...wanted })).toEqual([])
    expect(compare(wanted, { ...wanted, max_age: 6, subjects: ['a', 'b'] })).toEqual([
      { setting: 'subjects', wanted: 'a', found: 'a,b' },
      { setting: 'max_age', wanted: '5', found: '6' },
    ])
  })
})
