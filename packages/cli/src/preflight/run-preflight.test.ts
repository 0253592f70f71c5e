import { createServer } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeOap } from '../../../aggregator/src/export/oap/fake-oap.testing.ts'
import { ExitCode } from '../exit-code.ts'
import { run } from '../run.ts'

const closers: (() => unknown)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function preflight(...args: string[]) {
  const text = { out: '', err: '' }
  const code = await run(['preflight', ...args], {
    env: {},
    stdout: { write: (part: string) => (text.out += part) },
    stderr: { write: (part: string) => (text.err += part) },
  })
  return { code, ...text }
}

/** Where an OAP answers queries. */
async function queries(version: string, metrics: number, ofSkybraid = 0): Promise<string> {
  const named = (prefix: string, length: number) =>
    Array.from({ length }, (_, i) => ({ name: `${prefix}_${i}` }))
  const [listMetrics, ours] = [named('kubernetes_service', metrics), named('skybraid_service', ofSkybraid)]
  const server = createServer((_request, reply) =>
    reply.end(JSON.stringify({ data: { version, listMetrics, ours } })),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

describe('preflight of an OAP', () => {
  it('says which version answers and that nothing is missing', async () => {
    const fake = await FakeOap.start()
    closers.push(() => fake.stop())
    const { code, out, err } = await preflight(
      '--oap',
      fake.address,
      '--oap-query',
      await queries('10.1.0', 283),
    )
    expect({ code, err }).toEqual({ code: ExitCode.ok, err: '' })
    expect(out).toContain('it takes access logs')
    expect(out).toContain('version 10.1.0')
    expect(fake).toMatchObject({ messages: 0, emptyStreams: 1 })
  })

  it('asks each OAP for its own version', async () => {
    // where nobody answers queries
    const { out } = await preflight('--oap', '127.0.0.9:1', '--oap', '127.0.0.8:1')
    for (const host of ['127.0.0.9', '127.0.0.8'])
      expect(out).toContain(`OAP ${host}:1: which version it is cannot be told, because ${host}:12800 does`)
  })

  it('says what is missing: the receiver, the rules, the version', async () => {
    const fake = await FakeOap.start({ hasReceiver: false })
    closers.push(() => fake.stop())
    const { code, err } = await preflight('--oap', fake.address, '--oap-query', await queries('9.7.0', 0))
    expect(code).toBe(ExitCode.cannotRun)
    for (const part of ['receiver-ebpf', 'oal/ebpf.oal', '9.7.0']) expect(err).toContain(part)
  })

  it('asks whether it takes OpenTelemetry metrics, where they would be sent, and sends none', async () => {
    const fake = await FakeOap.start({ hasMetrics: true })
    closers.push(() => fake.stop())
    const asked = ['--oap', fake.address, '--oap-query', await queries('10.1.0', 283, 21)]
    const { code, out, err } = await preflight(...asked, '--oap-metrics')
    expect({ code, err }).toEqual({ code: ExitCode.ok, err: '' })
    expect(out).toContain('it takes OpenTelemetry metrics')
    expect(out).toContain('21 metrics by the rules of skybraid')
    expect(fake.metricsRequests).toEqual([0])
    expect((await preflight(...asked)).out).not.toContain('OpenTelemetry')
    expect(fake.metricsRequests).toHaveLength(1)
  })

  it('says that OAP takes no OpenTelemetry metrics, where they would be sent', async () => {
    const fake = await FakeOap.start()
    closers.push(() => fake.stop())
    const asked = ['--oap', fake.address, '--oap-query', await queries('10.1.0', 283)]
    const { code, out, err } = await preflight(...asked, '--oap-metrics')
    expect(code).toBe(ExitCode.cannotRun)
    expect(out).toContain('it takes access logs')
    for (const part of ['receiver-otel', 'otlp-metrics', 'it has no rules for what --oap-metrics sends'])
      expect(err).toContain(part)
    expect((await preflight(...asked)).code).toBe(ExitCode.ok)
  })

  it('says that nobody answers once, and that options contradict each other', async () => {
    const asked = ['--oap', '127.0.0.1:1', '--oap-query', '127.0.0.1:1', '--oap-metrics']
    const { code, err } = await preflight(...asked)
    expect(code).toBe(ExitCode.cannotRun)
    expect(err.match(/ECONNREFUSED/g)).toHaveLength(1)
    expect((await preflight('--oap', 'a:1', '--oap-cert-file', 'x')).code).toBe(ExitCode.usage)
    expect((await preflight('--oap', 'nonsense')).code).toBe(ExitCode.usage)
  })
})
