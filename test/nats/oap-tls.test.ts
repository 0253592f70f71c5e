import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { FakeOap } from '../../packages/aggregator/src/export/oap/fake-oap.testing.ts'
import { createIntervalQueue } from '../../packages/aggregator/src/export/oap/interval/interval-queue.ts'
import { packPairs } from '../../packages/aggregator/src/export/oap/interval/packed-pairs.testing.ts'
import {
  createOapConnection,
  type OapAnswer,
  OapCode,
} from '../../packages/aggregator/src/export/oap/oap-connection.ts'
import { type OapSender, startOapSender } from '../../packages/aggregator/src/export/oap/oap-sender.ts'
import { type OapConfig, oapConfigSchema } from '../../packages/aggregator/src/export/oap/options.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { type Authority, authority, type Certificate } from './certificates.ts'

let folder: string
let ours: Authority
let others: Authority
let client: Certificate
const closers: (() => unknown)[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skybraid-oap-tls-'))
  ours = await authority(folder, 'ours')
  others = await authority(folder, 'others')
  client = await ours.issue('client')
})
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})
afterAll(() => rmSync(folder, { recursive: true }))

async function secureOap(asksClient: boolean, token?: string): Promise<FakeOap> {
  const { cert, key } = await ours.issue('server')
  const fake = await FakeOap.start({
    tls: { ca: readFileSync(ours.ca), cert: readFileSync(cert), key: readFileSync(key), asksClient },
    ...(token !== undefined && { token }),
  })
  closers.push(() => fake.stop())
  return fake
}

async function probe(oap: FakeOap, ...args: readonly string[]): Promise<OapAnswer> {
  const loaded = loadConfig(oapConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const connection = createOapConnection(oap.address, loaded.config as OapConfig)
  try {
    return await connection.probe()
  } finally {
    connection.close()
  }
}

/** A sender with one interval to send. */
function sendOne(args: readonly string[]): OapSender {
  const loaded = loadConfig(oapConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const queue = createIntervalQueue({ maxAgeMs: 60_000, maxBytes: 1e6 })
  const end = (service: string) => ({ service, pod: 'pod-0', properties: [] })
  const amounts = Float64Array.of(1, 0, 1, 0, 0, 0, 0, 0, 0)
  queue.push({
    unixMinute: Math.floor(Date.now() / 60_000),
    takenMs: Date.now(),
    pairs: packPairs([{ role: 0, local: end('web'), remote: end('api'), amounts }]),
    http: [],
  })
  const sender = startOapSender({
    config: loaded.config as OapConfig,
    node: 'node-a',
    queue,
    log: createConsole({ write: () => undefined }, 'silent').log,
    nowMs: Date.now,
    random: () => 0,
    announcements: () => [],
    retryDelayMs: () => 100,
  })
  closers.push(() => void sender.close(0))
  return sender
}

describe('an OAP behind TLS', () => {
  it('is reached with the authority that signed it, and by no other way', async () => {
    const oap = await secureOap(false)
    expect(await probe(oap, '--oap-ca-file', ours.ca)).toMatchObject({ code: OapCode.ok })
    const bad = await Promise.all([
      probe(oap, '--oap-ca-file', others.ca),
      probe(oap, '--oap-tls'),
      probe(oap),
    ])
    for (const { code } of bad) expect(code).not.toBe(OapCode.ok)
    expect(bad[0]!.details).toMatch(/certificate|issuer/i)
    expect(oap.emptyStreams).toBe(1)
  })

  it('that asks for a client certificate takes ours, and nobody without one', async () => {
    const oap = await secureOap(true)
    const stranger = await others.issue('stranger')
    const withPair = ({ cert, key }: Certificate) => [
      ...['--oap-ca-file', ours.ca],
      ...['--oap-cert-file', cert, '--oap-key-file', key],
    ]
    expect((await probe(oap, ...withPair(client))).code).toBe(OapCode.ok)
    expect((await probe(oap, ...withPair(stranger))).code).not.toBe(OapCode.ok)
    expect((await probe(oap, '--oap-ca-file', ours.ca)).code).not.toBe(OapCode.ok)
    expect(oap.emptyStreams).toBe(1)
  })

  it('gets the token as OAP’s agents send it, and a new certificate with the next connection', async () => {
    const oap = await secureOap(true, 'secret')
    const path = (name: string) => join(folder, name)
    writeFileSync(path('token'), 'secret\n')
    const args = [
      ...['--oap-ca-file', ours.ca, '--oap-token-file', path('token')],
      ...['--oap-cert-file', path('used.pem'), '--oap-key-file', path('used.key')],
    ]
    const use = ({ cert, key }: Certificate) => {
      copyFileSync(cert, path('used.pem'))
      copyFileSync(key, path('used.key'))
    }
    use(await others.issue('expired'))
    expect((await probe(oap, ...args)).code).not.toBe(OapCode.ok)
    use(client)
    expect((await probe(oap, ...args)).code).toBe(OapCode.ok)
    writeFileSync(path('token'), 'old\n')
    expect((await probe(oap, ...args)).code).toBe(OapCode.denied)
  })

  it('is found among several addresses, of which others refuse us or are not there', async () => {
    const [strict, open] = [await secureOap(true), await secureOap(false)]
    const addresses = ['127.0.0.1:1', strict.address, open.address]
    const args = [...addresses.flatMap(address => ['--oap', address]), '--oap-ca-file', ours.ca]
    const sender = sendOne(args)
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), { timeout: 30_000 })
    expect(sender.state().connectedTo).toBe(open.address)
    expect([strict.messages, open.messages]).toEqual([0, 1])
  })

  it('gets everything once a certificate has its key, which were replaced one after the other', async () => {
    const oap = await secureOap(true)
    const [certFile, keyFile] = [join(folder, 'rotated.pem'), join(folder, 'rotated.key')]
    const stranger = await others.issue('replaced')
    copyFileSync(client.cert, certFile)
    copyFileSync(stranger.key, keyFile)
    const args = ['--oap', oap.address, '--oap-ca-file', ours.ca]
    const sender = sendOne([...args, '--oap-cert-file', certFile, '--oap-key-file', keyFile])
    await vi.waitFor(() => expect(sender.state().failures).toBeGreaterThan(1), { timeout: 30_000 })
    expect(sender.state().lastError).toContain(`${certFile}, ${keyFile} cannot be used for TLS`)
    copyFileSync(client.key, keyFile)
    await vi.waitFor(() => expect(sender.counts.intervals).toBe(1), { timeout: 30_000 })
    expect(oap.messages).toBe(1)
  })
})
