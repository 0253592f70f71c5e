import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { LineProcess } from '../../bpf/tests/line-process.ts'
import { build, Net, Stage, whyNot } from '../../bpf/tests/stage.ts'
import type { SaidView } from '../../packages/aggregator/src/topology/answer.ts'
import { Observer } from '../../test/fault/observer.ts'
import { until } from '../../test/lab/until.ts'

const noTools = ['dnsmasq', 'dig'].some(tool => {
  try {
    execFileSync('which', [tool])
    return false
  } catch {
    return true
  }
})
const skip = whyNot() ?? (noTools ? 'no dnsmasq or dig' : undefined)
const upstreamPort = 5300

/** Answers SERVFAIL, `slow` names after 200 ms and `silent` ones never. */
const upstream = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (query, { port, address }) => {
  const name = query.toString('latin1')
  if (name.includes('silent')) return
  const answer = Buffer.from(query)
  answer[2] |= 0x80
  answer[3] = 0x82
  setTimeout(() => socket.send(answer, port, address), name.includes('slow') ? 200 : 0)
})
socket.bind(${upstreamPort}, '127.0.0.1', () => console.log('{}'))`

/** Asks what each line says, { list: [[type, name]...], times, at, timeout, tries }, and tells what came of each kind. */
const asker = `
const { Resolver } = require('node:dns').promises
const { createSocket } = require('node:dgram')
const methods = { A: 'resolve4', AAAA: 'resolve6', SRV: 'resolveSrv', PTR: 'resolvePtr' }
const statuses = { ok: 0, ENODATA: 0, ESERVFAIL: 2, ENOTFOUND: 3, EREFUSED: 5 }
async function ask({ list, times, at, timeout, tries }) {
  const resolver = new Resolver({ timeout, tries }), counts = {}
  resolver.setServers(['${Net.server}'])
  let next = 0
  await Promise.all(Array.from({ length: at }, async () => {
    while (next < times * list.length) {
      const [type, name] = list[next++ % list.length]
      const code = await resolver[methods[type]](name).then(() => 'ok', error => error.code)
      const key = type + ' ' + name + ' ' + (statuses[code] ?? code)
      counts[key] = (counts[key] ?? 0) + 1
    }
  }))
  return counts
}
async function noise(times) {
  const socket = createSocket('udp4')
  for (let i = 0; i < times; i++) await new Promise(r => socket.send('no message of DNS', 53, '${Net.server}', r))
  await new Promise(r => socket.close(r))
  return {}
}
require('node:readline').createInterface({ input: process.stdin }).on('line', async line => {
  const order = JSON.parse(line)
  console.log(JSON.stringify(await (order.noise ? noise(order.noise) : ask(order))))
})`

interface Order {
  readonly list: readonly (readonly [string, string])[]
  readonly times: number
  /** So many at once. */
  readonly at: number
  readonly timeout: number
  readonly tries: number
}

type Counts = Record<string, number>

/** Counts of both, by operation and status. */
function plus(...all: readonly Counts[]): Counts {
  const sum: Counts = {}
  for (const counts of all)
    for (const [key, count] of Object.entries(counts)) sum[key] = (sum[key] ?? 0) + count
  return sum
}

describe.skipIf(skip !== undefined)('operations of DNS', () => {
  let stage: Stage
  let directory: string
  let observer: Observer | undefined
  let asking: LineProcess
  let answering: LineProcess
  let dns: ChildProcess

  beforeAll(() => build())
  beforeEach(async () => {
    stage = new Stage()
    directory = mkdtempSync(join(tmpdir(), 'sb-dns-'))
    const inSpace = (place: 'client' | 'server', into: string | undefined, ...argv: string[]): string[] => [
      `--net=/run/netns/${stage.space(place)}`,
      'sh',
      '-c',
      `${into === undefined ? '' : `echo $$ > ${into}/cgroup.procs; `}exec "$@"`,
      'sh',
      ...argv,
    ]
    const node = (script: string) => [process.execPath, '-e', script]
    asking = new LineProcess('nsenter', inSpace('client', stage.cgroup, ...node(asker)))
    answering = new LineProcess('nsenter', inSpace('server', undefined, ...node(upstream)))
    await answering.until('the upstream', () => answering.lines[0])
    mkdirSync(`${stage.cgroup}/dns`)
    const options = [
      ...['--keep-in-foreground', '--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--pid-file='],
      ...['--user=root', '--log-queries', `--log-facility=${logFile()}`],
      ...['--host-record=cart.shop.example,10.9.9.9', '--local=/shop.example/'],
      `--server=/fail.example/127.0.0.1#${upstreamPort}`,
      `--server=/silent.example/127.0.0.1#${upstreamPort}`,
    ]
    dns = spawn('nsenter', inSpace('server', `${stage.cgroup}/dns`, 'dnsmasq', ...options), {
      stdio: 'ignore',
    })
    await until('the name server', () => stage.in('server', 'ss -Hlun sport = :53') !== '')
  })
  afterEach(async () => {
    await observer?.collector.close()
    observer = undefined
    await asking.end()
    answering.child.kill()
    if (dns.exitCode === null && dns.signalCode === null) {
      dns.kill('SIGKILL')
      await once(dns, 'close')
    }
    await stage.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const logFile = () => join(directory, 'log')
  /** What the server was asked, by its own log. */
  const logged = (): Counts => {
    const counts: Counts = {}
    const log = existsSync(logFile()) ? readFileSync(logFile(), 'utf8') : ''
    for (const [, type, name] of log.matchAll(/ query\[(\w+)\] (\S+) from /g))
      counts[`${type} ${name}`] = (counts[`${type} ${name}`] ?? 0) + 1
    return counts
  }
  const ask = async (order: Order | { readonly noise: number }): Promise<Counts> => {
    const before = asking.lines.length
    asking.tell(JSON.stringify(order))
    return (await asking.until('answers', () => asking.lines[before], 60_000)) as Counts
  }
  /** Asks with a socket, or with TCP a connection, for each question. */
  const dig = (transport: string, ...questions: readonly (readonly [string, string])[]): Counts => {
    const argv = questions.map(([type, name]) => `${name} ${type} +noall +comments`).join(' ')
    const text = stage.in(
      'client',
      `echo $$ > ${stage.cgroup}/cgroup.procs; exec dig @${Net.server} ${transport} +tries=1 +timeout=30 ${argv}`,
    )
    const codes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']
    const statuses = [...text.matchAll(/status: (\w+)/g)].map(([, word]) => codes.indexOf(word!))
    return plus(
      ...statuses.map((status, i) => ({ [`${questions[i]![0]} ${questions[i]![1]} ${status}`]: 1 })),
    )
  }
  const range = { groupBy: 'process' as const, limit: 100 }
  const window = () => ({ ...range, fromMs: Date.now() - 300_000, toMs: Date.now() + 60_000 })
  const operations = () =>
    observer!.core.reader
      .operations({ ...window() }, Date.now())
      .operations.filter(({ block }) => block === 'dns')
  /** What one end saw, by operation and status; -1: no response. */
  const seenBy = (end: 'client' | 'server'): Counts =>
    plus(...operations().map(operation => statusesOf(operation.operation, operation[end])))
  const statusesOf = (operation: string, view: SaidView | undefined): Counts => ({
    ...Object.fromEntries(
      Object.entries(view?.statuses ?? {}).map(([status, count]) => [`${operation} ${status}`, count]),
    ),
    ...(view !== undefined && view.unknown > 0 && { [`${operation} -1`]: view.unknown }),
  })
  const sorted = (counts: Counts) => Object.fromEntries(Object.entries(counts).sort())
  const unread = () => observer!.collector.status().flows.l7
  /** Rows come with the records of their flows. */
  const settled = (end: 'client' | 'server', truth: Counts) =>
    until(
      `what the ${end} saw`,
      () => JSON.stringify(sorted(seenBy(end))) === JSON.stringify(sorted(truth)),
      {
        timeoutMs: 60_000,
        everyMs: 200,
        describe: () => JSON.stringify({ seen: seenBy(end), truth, unread: unread() }),
      },
    )

  it('are what the asker and the log of the server count, at both ends, over UDP and TCP', async () => {
    observer = await Observer.start(stage.cgroup, { l7: 'dns', report: 500 })
    const many = await ask({
      list: [
        ['A', 'cart.shop.example'],
        ['AAAA', 'cart.shop.example'],
        ['A', 'none.shop.example'],
        ['SRV', 'other.example'],
      ],
      // all of it fits into the ring, however long nobody reads it
      times: 150,
      at: 40,
      timeout: 30_000,
      tries: 1,
    })
    // one that is slow, and others that overtake it on the same socket
    const overtaken = await ask({
      list: [
        ['A', 'slow.fail.example'],
        ...Array.from(
          { length: 20 },
          (_, i) => ['A', i % 2 === 0 ? 'cart.shop.example' : 'fast.fail.example'] as const,
        ),
      ],
      times: 1,
      at: 21,
      timeout: 30_000,
      tries: 1,
    })
    const questions = Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0 ? (['A', 'cart.shop.example'] as const) : (['TXT', 'none.shop.example'] as const),
    )
    const truth = plus(many, overtaken, dig('', ...questions), dig('+tcp', ...questions))
    expect(truth['A none.shop.example 3']).toBe(150)
    expect(truth['A slow.fail.example 2']).toBe(1)
    expect(truth['SRV other.example 5']).toBe(150)
    await settled('client', truth)
    await settled('server', truth)
    const asked: Counts = {}
    for (const [key, count] of Object.entries(truth)) {
      const operation = key.slice(0, key.lastIndexOf(' '))
      asked[operation] = (asked[operation] ?? 0) + count
    }
    expect(sorted(logged())).toEqual(sorted(asked))
    const slow = operations().find(({ operation }) => operation === 'A slow.fail.example')
    for (const view of [slow?.client, slow?.server])
      expect(view?.meanFirstByteUs).toBeGreaterThanOrEqual(190_000)
    const { edges } = observer.core.reader.topology(window(), Date.now())
    const asksOver = (protocol: string) =>
      edges.filter(edge => edge.protocol === protocol && edge.dns?.server !== undefined).length
    expect(asksOver('udp')).toBeGreaterThan(0)
    expect(asksOver('tcp')).toBeGreaterThan(0)
    expect(unread()).toMatchObject({ ringFull: 0, unpaired: 0, malformed: 0, givenUp: 0, rowsFull: 0 })
  })

  it('have no status where nobody answers, each question that was sent again on its own', async () => {
    observer = await Observer.start(stage.cgroup, { l7: 'dns', report: 500 })
    const list = [['A', 'x.silent.example']] as const
    const answered = await ask({ list, times: 5, at: 5, timeout: 300, tries: 2 })
    expect(answered).toEqual({ 'A x.silent.example ETIMEOUT': 5 })
    expect(await ask({ noise: 10 })).toEqual({})
    await asking.end()
    await until(
      'every question at the asker’s end',
      () => {
        const sent = logged()['A x.silent.example'] ?? 0
        return (
          sent >= 5 && JSON.stringify(seenBy('client')) === JSON.stringify({ 'A x.silent.example -1': sent })
        )
      },
      { timeoutMs: 60_000, everyMs: 200, describe: () => JSON.stringify([seenBy('client'), logged()]) },
    )
    // the server's own flows go on for a minute
    expect(Object.keys(seenBy('server')).filter(key => !key.endsWith(' -1'))).toEqual([])
    await until('noise at both ends', () => unread().malformed >= 20)
  })
})
