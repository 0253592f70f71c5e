import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '@skybraid/shared'
import pino from 'pino'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type OtlpConfig, otlpConfigProblem, otlpConfigSchema } from './options.ts'
import { createOtlpConnection } from './otlp-connection.ts'
import { startOtlpSender } from './otlp-sender.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

async function receiver(handle: Handler, host = '127.0.0.1', port = 0) {
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    request.resume().once('end', () => handle(request, response))
  })
  await new Promise<void>(resolve => server.listen(port, host, resolve))
  const stop = () => new Promise(resolve => server.close(resolve).closeAllConnections())
  closers.push(stop)
  const address = server.address() as AddressInfo
  return { url: `http://${host}:${address.port}`, port: address.port, requests: () => requests, stop }
}

const ok: Handler = (_, response) => void response.end()
const answers =
  (...codes: number[]): Handler =>
  (_, response) =>
    void response.writeHead(codes.length > 1 ? codes.shift()! : codes[0]!, { 'retry-after': '0' }).end()

function optionsOf(...args: string[]): OtlpConfig {
  const loaded = loadConfig(otlpConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error(JSON.stringify(loaded))
  return loaded.config as OtlpConfig
}

function sendTo(url: string, limits = { maxAgeMs: 60_000, maxBytes: 1e6 }, args: string[] = []) {
  const lines: string[] = []
  const connection = createOtlpConnection(optionsOf('--otlp', url, ...args))
  const log = pino({ level: 'debug' }, { write: line => void lines.push(line) })
  const clock = { extraMs: 0 }
  const nowMs = () => performance.now() + clock.extraMs
  const sender = startOtlpSender({ connection, limits, log, nowMs, random: () => 0 })
  closers.push(() => sender.close(0))
  let settled = 0
  const push = (...points: number[]) =>
    sender.push(
      points.map(number => ({ body: new Uint8Array(100), points: number })),
      () => settled++,
    )
  return { sender, push, clock, lines, settled: () => settled }
}

const soon = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 20 })
const none = { sent: 0, refused: 0, unknown: 0, dropped: 0 }

describe('the sender of OpenTelemetry metrics', () => {
  it('sends each request once, in turn, and says when all of a push is settled', async () => {
    const { url, requests } = await receiver(ok)
    const { sender, push, settled } = sendTo(url)
    push(5, 3)
    push(2)
    await soon(() => expect(settled()).toBe(2))
    expect(requests()).toBe(3)
    expect(sender.state()).toMatchObject({ isConnected: true, failures: 0, points: { ...none, sent: 10 } })
  })

  it('goes on after being refused', async () => {
    const { url } = await receiver(answers(400, 413, 200))
    const { sender, push, settled } = sendTo(url)
    push(1)
    await soon(() => expect(settled()).toBe(1))
    push(2)
    await soon(() => expect(settled()).toBe(2))
    push(4)
    await soon(() => expect(settled()).toBe(3))
    expect(sender.state()).toMatchObject({ failures: 0, points: { ...none, refused: 3, sent: 4 } })
  })

  it('sends again what a receiver that has too much to do turned away', async () => {
    const { url, requests } = await receiver(answers(503, 429, 502, 200))
    const { sender, push, settled } = sendTo(url)
    push(7)
    await soon(() => expect(settled()).toBe(1))
    expect(requests()).toBe(4)
    expect(sender.state().points).toEqual({ ...none, sent: 7 })
  })

  it('waits for one that is away, and loses nothing', async () => {
    // nobody else takes a port of this address in between
    const host = '127.41.16.8'
    const first = await receiver(ok, host)
    await first.stop()
    const { sender, push, settled } = sendTo(first.url)
    push(7)
    await soon(() => expect(sender.state().failures).toBeGreaterThan(0))
    expect(sender.state()).toMatchObject({
      isConnected: false,
      queued: { requests: 1, points: 7, bytes: 100 },
    })
    await receiver(ok, host, first.port)
    await soon(() => expect(settled()).toBe(1))
    expect(sender.state().points).toEqual({ ...none, sent: 7 })
  })

  it('never sends again what may have been counted', async () => {
    const broken: Handler = request => void request.socket.destroy()
    const { url, requests } = await receiver(broken)
    const { sender, push, settled } = sendTo(url)
    push(7)
    await soon(() => expect(settled()).toBe(1))
    expect(requests()).toBe(1)
    expect(sender.state()).toMatchObject({
      points: { ...none, unknown: 7 },
      lastError: expect.stringMatching(/hang up|ECONNRESET/),
    })
  })

  it('drops the oldest when there is no room, and what waited too long', async () => {
    const { url } = await receiver(answers(503))
    const { sender, push, clock, settled } = sendTo(url, { maxAgeMs: 60_000, maxBytes: 250 })
    push(1)
    push(2)
    push(4)
    push(8)
    await soon(() => expect(sender.state().points.dropped).toBeGreaterThanOrEqual(1))
    expect(sender.state().queued.bytes).toBeLessThanOrEqual(300)
    clock.extraMs = 61_000
    push(16)
    await soon(() => expect(sender.state().points.dropped).toBe(15))
    expect(settled()).toBe(4)
    expect(sender.state().points.sent).toBe(0)
  })

  it('counts what a receiver did not want of a request that it took', async () => {
    // partial_success { rejected_data_points: 3, error_message: "no" }
    const partial: Handler = (_, response) =>
      void response.end(Buffer.from([0x0a, 6, 0x08, 3, 0x12, 2, 0x6e, 0x6f]))
    const { url } = await receiver(partial)
    const { sender, push, settled } = sendTo(url)
    push(7)
    await soon(() => expect(settled()).toBe(1))
    expect(sender.state()).toMatchObject({
      points: { ...none, sent: 4, refused: 3 },
      lastError: 'the receiver refused 3 points: no',
    })
  })

  it('ends at once where nobody takes anything, and in the middle of a request', async () => {
    const never: Handler = () => undefined
    for (const handle of [answers(503), never]) {
      const { url, requests } = await receiver(handle)
      const { sender, push } = sendTo(url)
      push(1)
      await soon(() => expect(requests()).toBeGreaterThan(0))
      await sender.close(50)
      const { points, queued } = sender.state()
      expect(points.sent).toBe(0)
      expect(points.unknown + queued.points).toBe(1)
    }
  })
})

describe('headers from a file', () => {
  function fileWith(text: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'skybraid-otlp-'))
    closers.push(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'headers')
    writeFileSync(path, text)
    return path
  }

  it('are sent, and read anew for every request', async () => {
    const seen: (string | undefined)[] = []
    const { url } = await receiver((request, response) => {
      seen.push(request.headers['x-key'] as string)
      response.end()
    })
    const path = fileWith('X-Key: one\r\n\r\n')
    const { push, settled } = sendTo(url, undefined, ['--otlp-headers-file', path])
    push(1)
    await soon(() => expect(settled()).toBe(1))
    writeFileSync(path, 'x-key:two')
    push(1)
    await soon(() => expect(settled()).toBe(2))
    expect(seen).toEqual(['one', 'two'])
  })

  it('are refused without a word of what they say', () => {
    const wrong = ['PLANTED', ': PLANTED', 'na me: PLANTED', 'x: PLANTED\u0000', 'host: PLANTED']
    for (const text of wrong) {
      const path = fileWith(`x-good: fine\n${text}\n`)
      const config = optionsOf('--otlp', 'http://127.0.0.1:1', '--otlp-headers-file', path)
      expect(() => createOtlpConnection(config)).toThrow(/line 2/)
      expect(() => createOtlpConnection(config)).not.toThrow(/PLANTED/)
    }
    const config = optionsOf('--otlp', 'http://127.0.0.1:1', '--otlp-headers-file', '/nowhere')
    expect(() => createOtlpConnection(config)).toThrow(/cannot be used: ENOENT/)
  })
})

describe('options', () => {
  it('take an address of HTTP without a login or a query', () => {
    const problemOf = (text: string) => {
      const loaded = loadConfig(otlpConfigSchema, { args: ['--otlp', text], env: {} })
      return !loaded.help && loaded.ok ? undefined : JSON.stringify(loaded)
    }
    for (const good of ['http://collector:4318', 'https://otel.example/v1/metrics', 'http://[::1]:4318/'])
      expect(problemOf(good), good).toBeUndefined()
    for (const good of ['grpc://collector:4317', 'grpcs://[::1]:4317/', 'grpc://collector'])
      expect(problemOf(good), good).toBeUndefined()
    for (const bad of ['collector:4318', 'ftp://x:4317', 'nonsense', 'grpc:x', 'grpc:///x'])
      expect(problemOf(bad), bad).toMatch(/begins with http/)
    expect(problemOf('grpc://x:4317/v1/metrics')).toMatch(/no path/)
    for (const bad of ['http://user:word@x:4318', 'https://x/v1/metrics?key=1', 'https://x/#a'])
      expect(problemOf(bad), bad).toMatch(/otlp-headers-file/)
  })

  it('contradict each other in a sentence', () => {
    expect(otlpConfigProblem(optionsOf('--otlp', 'https://x', '--otlp-cert-file', 'a'))).toMatch(
      /go together/,
    )
    expect(otlpConfigProblem(optionsOf('--otlp', 'http://x', '--otlp-ca-file', 'a'))).toMatch(/https/)
    expect(otlpConfigProblem(optionsOf('--otlp', 'https://x', '--otlp-ca-file', 'a'))).toBeUndefined()
  })
})
