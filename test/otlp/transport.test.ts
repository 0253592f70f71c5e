import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type GrpcAnswer,
  startGrpcReceiver,
} from '../../packages/aggregator/src/export/otlp-push/grpc-receiver.testing.ts'
import { type OtlpConfig, otlpConfigSchema } from '../../packages/aggregator/src/export/otlp-push/options.ts'
import {
  createOtlpConnection,
  type OtlpConnection,
} from '../../packages/aggregator/src/export/otlp-push/otlp-connection.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { type Authority, authority, type Certificate } from '../nats/certificates.ts'

let folder: string
let ours: Authority
let others: Authority
let server: Certificate
let client: Certificate
let stranger: Certificate
const closers: (() => unknown)[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skybraid-otlp-tls-'))
  ours = await authority(folder, 'ours')
  others = await authority(folder, 'others')
  server = await ours.issue('server')
  client = await ours.issue('client')
  stranger = await others.issue('client')
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})
afterAll(() => rmSync(folder, { recursive: true }))

function connectionTo(url: string, ...args: readonly string[]): OtlpConnection {
  const loaded = loadConfig(otlpConfigSchema, { args: ['--otlp', url, ...args], env: {} })
  if (loaded.help || !loaded.ok) throw new Error(JSON.stringify(loaded))
  const connection = createOtlpConnection(loaded.config as OtlpConfig)
  closers.push(() => connection.close())
  return connection
}

const body = new TextEncoder().encode('any bytes: the receiver of these tests reads none of them')
const send = (url: string, ...args: readonly string[]) => connectionTo(url, ...args).send(body)

async function listening(made: Server): Promise<number> {
  await new Promise<void>(resolve => made.listen(0, '127.0.0.1', resolve))
  closers.push(() => new Promise(resolve => made.close(resolve).closeAllConnections()))
  return (made.address() as AddressInfo).port
}

/** A receiver with TLS; answers where it is. */
async function secure(kind: 'https' | 'grpcs', asksClient: boolean): Promise<string> {
  const [ca, cert, key] = [ours.ca, server.cert, server.key].map(path => readFileSync(path))
  const tls = { ca: ca!, cert: cert!, key: key! }
  if (kind === 'grpcs') {
    const receiver = await startGrpcReceiver(undefined, { ...tls, asksClient })
    closers.push(receiver.stop)
    return `grpcs://127.0.0.1:${receiver.port}`
  }
  const options = { ...tls, requestCert: asksClient, rejectUnauthorized: asksClient }
  const made = createSecureServer(options, (request, response) => {
    request.resume().once('end', () => response.end())
  })
  return `https://127.0.0.1:${await listening(made)}`
}

async function grpc(answer?: () => GrpcAnswer) {
  const receiver = await startGrpcReceiver(answer)
  closers.push(receiver.stop)
  return { ...receiver, url: `grpc://127.0.0.1:${receiver.port}` }
}

describe.each(['https', 'grpcs'] as const)('TLS to a receiver of OpenTelemetry by %s', kind => {
  it('takes a receiver that the named authority signed, and says why it takes no other', async () => {
    const url = await secure(kind, false)
    expect(await send(url, '--otlp-ca-file', ours.ca)).toMatchObject({ outcome: 'taken' })
    for (const args of [[], ['--otlp-ca-file', others.ca]])
      expect(await send(url, ...args)).toMatchObject({
        outcome: 'again',
        why: expect.stringMatching(/unable to verify|self-signed|certificate/),
      })
    const elsewhere = url.replace('127.0.0.1', 'localhost')
    expect(await send(elsewhere, '--otlp-ca-file', ours.ca)).toMatchObject({
      outcome: 'again',
      why: expect.stringMatching(/localhost/),
    })
  })

  it('shows a client certificate, the new one after a rotation, and counts nothing as told without one', async () => {
    const url = await secure(kind, true)
    const ca = ['--otlp-ca-file', ours.ca]
    expect((await send(url, ...ca)).outcome).not.toBe('taken')
    const [cert, key] = [join(folder, `${kind}.pem`), join(folder, `${kind}.key`)]
    const use = (files: Certificate) => {
      copyFileSync(files.cert, cert)
      copyFileSync(files.key, key)
    }
    use(stranger)
    const connection = connectionTo(url, ...ca, '--otlp-cert-file', cert, '--otlp-key-file', key)
    expect((await connection.send(body)).outcome).not.toBe('taken')
    use(client)
    expect(await connection.send(body)).toMatchObject({ outcome: 'taken' })
    rmSync(key)
    expect(await connection.send(body)).toMatchObject({
      outcome: 'again',
      isLasting: true,
      why: expect.stringContaining('--otlp-key-file'),
    })
  })
})

describe('OpenTelemetry by gRPC', () => {
  it('brings the whole message and the headers of the file', async () => {
    const receiver = await grpc()
    const headers = join(folder, 'headers')
    writeFileSync(headers, 'Authorization: Bearer planted\n')
    expect(await send(receiver.url, '--otlp-headers-file', headers)).toEqual({
      outcome: 'taken',
      partial: undefined,
    })
    expect(receiver.received.map(({ bytes }) => bytes.toString())).toEqual([new TextDecoder().decode(body)])
    expect(receiver.received[0]!.headers).toMatchObject({ authorization: 'Bearer planted' })
  })

  it('reads what the receiver did not want of a message', async () => {
    // partial_success { rejected_data_points: 3, error_message: "no" }
    const { url } = await grpc(() => Buffer.from([0x0a, 6, 0x08, 3, 0x12, 2, 0x6e, 0x6f]))
    expect(await send(url)).toEqual({ outcome: 'taken', partial: { rejectedPoints: 3, why: 'no' } })
  })

  it('tells what is to be sent again from what is refused and what nobody knows', async () => {
    const answers: readonly [GrpcAnswer, object][] = [
      [
        { code: 14, details: 'busy' },
        { outcome: 'again', isLasting: false, why: 'the receiver answers UNAVAILABLE: busy' },
      ],
      [
        { code: 8, details: 'later', mayRetry: true },
        { outcome: 'again', isLasting: false },
      ],
      [{ code: 8, details: 'too large' }, { outcome: 'refused' }],
      [
        { code: 16, details: 'no token' },
        { outcome: 'again', isLasting: true },
      ],
      [
        { code: 3, details: 'schlecht: ä' },
        { outcome: 'refused', why: 'the receiver answers INVALID_ARGUMENT: schlecht: ä' },
      ],
      [{ code: 4, details: 'behind me' }, { outcome: 'unknown' }],
    ]
    for (const [answer, expected] of answers) {
      const receiver = await grpc(() => answer)
      expect(await send(receiver.url)).toMatchObject(expected)
      expect(receiver.received).toHaveLength(1)
    }
  })

  it('never sends to what is away or speaks something else', async () => {
    const silent = createServer((_, response) => void response.end())
    const port = await listening(silent)
    expect(await send(`grpc://127.0.0.1:${port}`)).toMatchObject({ outcome: 'again' })
    await new Promise(resolve => silent.close(resolve).closeAllConnections())
    expect(await send(`grpc://127.0.0.1:${port}`)).toMatchObject({
      outcome: 'again',
      why: expect.stringContaining('ECONNREFUSED'),
    })
  })

  it('does not know what became of a message whose answer never came', async () => {
    const receiver = await grpc(() => {
      setTimeout(receiver.stop, 50)
      return undefined
    })
    expect(await send(receiver.url)).toMatchObject({ outcome: 'unknown' })
    const silent = await grpc(() => undefined)
    const connection = connectionTo(silent.url)
    const answer = connection.send(body)
    await expect.poll(() => silent.received.length, { timeout: 20_000 }).toBe(1)
    connection.close()
    expect(await answer).toEqual({ outcome: 'unknown', why: 'the aggregator ends' })
  })
})
