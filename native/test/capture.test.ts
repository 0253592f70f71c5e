import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type DecodedRecord,
  decodeFlushes,
  isFirst,
  protocolOf,
  reasonOf,
  recordsOf,
  roleOf,
  stateOf,
} from './decode.ts'
import { canCapture, client, observeEachTest, server, until } from './observed-capture.ts'
import { ObservedGroup } from './observed-group.ts'

const open = 1
const closed = 2
const failed = 3

/** Answers `short N`, `dial`, `send N`, `hang`, `refused`, `udp N`: a server and its clients in one program. */
const traffic = `
const net = require('node:net'), dgram = require('node:dgram')
const server = net.createServer(s => { s.on('error', () => {}); s.on('data', d => { if (d.length < 100) s.write('pong') }) })
const echo = dgram.createSocket('udp4')
echo.on('message', (m, from) => echo.send(m, from.port, from.address))
let held
const say = x => console.log(JSON.stringify(x))
const commands = {
  async ready() { await new Promise(r => server.listen(0, '127.0.0.1', r)); await new Promise(r => echo.bind(0, '127.0.0.1', r)); return { tcp: server.address().port, udp: echo.address().port, pid: process.pid } },
  async short(n) { for (let i = 0; i < n; i++) await new Promise(r => { const c = net.connect(server.address().port, '127.0.0.1'); c.on('data', () => c.end()); c.on('close', r); c.write('ping') }); return n },
  async dial() { held = net.connect(server.address().port, '127.0.0.1'); await new Promise(r => held.once('connect', r)); return held.localPort },
  async send(n) { await new Promise(r => held.write(Buffer.alloc(n), r)); return n },
  async hang() { held.end(); await new Promise(r => held.once('close', r)); return true },
  async refused(port) { await new Promise(r => net.connect(port, '127.0.0.1').once('error', r)); return true },
  async udp(n) { const s = dgram.createSocket('udp4'); await new Promise(r => s.bind(0, '127.0.0.1', r)); const port = s.address().port; for (let i = 0; i < n; i++) await new Promise(r => { s.once('message', r); s.send('x'.repeat(20), echo.address().port, '127.0.0.1') }); s.close(); return port },
}
require('node:readline').createInterface({ input: process.stdin }).on('line', async l => { const [name, arg] = l.split(' '); say(await commands[name](Number(arg))) })
`

const sum = (records: readonly DecodedRecord[], column: string): number =>
  records.reduce((total, r) => total + r.at(column), 0)

describe.skipIf(!canCapture)('capture', () => {
  const observation = observeEachTest()
  const { start } = observation

  it('reports both ends of every short connection, exactly', async () => {
    const tell = observation.group.run(traffic)
    const capture = start()
    const { pid, tcp } = (await tell('ready')) as { pid: number; tcp: number }
    await tell('short 200')
    capture.close()
    const records = recordsOf(observation.flushes)
    const ends = records.filter(r => stateOf(r) === closed && protocolOf(r) === 1)
    const dialled = ends.filter(r => roleOf(r) === client)
    const accepted = ends.filter(r => roleOf(r) === server)
    expect(dialled).toHaveLength(200)
    expect(accepted).toHaveLength(200)
    const key = (r: DecodedRecord): string => `${r.partition}:${r.at('dialler_isn')}:${r.at('acceptor_isn')}`
    expect(new Set(dialled.map(key)).size).toBe(200)
    expect(dialled.map(key).sort()).toEqual(accepted.map(key).sort())
    expect(
      sum(
        records.filter(r => roleOf(r) === client),
        'bytes_sent',
      ),
    ).toBe(200 * 4)
    expect(
      sum(
        records.filter(r => roleOf(r) === server),
        'bytes_sent',
      ),
    ).toBe(200 * 4)
    expect(
      sum(
        records.filter(r => roleOf(r) === server),
        'bytes_received',
      ),
    ).toBe(200 * 4)
    for (const r of ends) {
      expect(reasonOf(r)).toBe(1)
      expect(r.owner).toContain(`cgroup: "/${observation.group.name}"`)
      expect(r.owner).toContain(`unit: "${observation.group.name}"`)
      expect(r.owner).toContain(`pid: ${pid}`)
      const port = roleOf(r) === client ? r.at('ports') & 0xffff : r.at('ports') >>> 16
      expect(port).toBe(tcp)
    }
    const firsts = records.filter(isFirst)
    expect(new Set(firsts.map(r => r.big('flow_id'))).size).toBe(firsts.length)
    expect(firsts).toHaveLength(400)
  })

  it('adds up the deltas of a long connection, and closes it once', async () => {
    const tell = observation.group.run(traffic)
    const capture = start()
    await tell('ready')
    const port = (await tell('dial')) as number
    const mine = (): DecodedRecord[] =>
      recordsOf(observation.flushes).filter(r => roleOf(r) === client && r.at('ports') >>> 16 === port)
    await until('the open connection', () => (mine().length > 0 ? true : undefined))
    let sent = 0
    for (const bytes of [1000, 200_000, 3_000_000]) {
      await tell(`send ${bytes}`)
      sent += bytes
      const reported = await until('its bytes', () =>
        sum(mine(), 'bytes_sent') >= sent ? mine() : undefined,
      )
      expect(sum(reported, 'bytes_sent')).toBe(sent)
      expect(Number(reported.at(-1)!.big('bytes_sent_total'))).toBe(sent)
      expect(stateOf(reported.at(-1)!)).toBe(open)
    }
    await tell('hang')
    capture.close()
    const records = mine()
    expect(sum(records, 'bytes_sent')).toBe(sent)
    expect(records.filter(isFirst)).toHaveLength(1)
    expect(records.filter(r => stateOf(r) === closed)).toHaveLength(1)
    expect(stateOf(records.at(-1)!)).toBe(closed)
    expect(sum(records, 'data_segments_sent')).toBe(records.at(-1)!.at('data_segments_sent_total'))
    for (const r of records) {
      const minute = r.baseUnixMs / 60_000
      expect(Number.isInteger(minute)).toBe(true)
      expect(r.at('at_ms')).toBeLessThan(60_000)
    }
  })

  it('counts a connection that is older than itself from adoption on', async () => {
    const tell = observation.group.run(traffic)
    await tell('ready')
    const port = (await tell('dial')) as number
    await tell('send 500000')
    const capture = start({ taskFiles: true })
    const mine = (): DecodedRecord[] =>
      recordsOf(observation.flushes).filter(r => roleOf(r) === client && r.at('ports') >>> 16 === port)
    await until('the adopted connection', () => (mine().length > 0 ? true : undefined))
    await tell('send 70000')
    await tell('hang')
    capture.close()
    const records = mine()
    expect(sum(records, 'bytes_sent')).toBe(70_000)
    expect(Number(records.at(-1)!.big('bytes_sent_total'))).toBe(570_000)
    for (const r of records) expect(r.at('kind') & (1 << 14)).not.toBe(0)
  })

  it('reports a refused dial as such', async () => {
    const tell = observation.group.run(traffic)
    const capture = start()
    await tell('ready')
    await tell('refused 1')
    capture.close()
    const dials = recordsOf(observation.flushes).filter(r => stateOf(r) === failed)
    expect(dials).toHaveLength(1)
    expect(reasonOf(dials[0]!)).toBe(5)
    expect(dials[0]!.at('ports') & 0xffff).toBe(1)
  })

  it('counts datagrams of both ends of a UDP flow', async () => {
    const tell = observation.group.run(traffic)
    const capture = start()
    const { udp } = (await tell('ready')) as { udp: number }
    const port = (await tell('udp 30')) as number
    capture.close()
    const flows = recordsOf(observation.flushes).filter(r => protocolOf(r) === 2)
    const asker = flows.filter(r => r.at('ports') === port * 65536 + udp)
    const answerer = flows.filter(r => r.at('ports') === udp * 65536 + port)
    for (const end of [asker, answerer]) {
      expect(sum(end, 'segments_sent')).toBe(30)
      expect(sum(end, 'segments_received')).toBe(30)
      expect(sum(end, 'bytes_sent')).toBe(600)
      expect(end.filter(isFirst)).toHaveLength(1)
      expect(new Set(end.map(r => r.partition)).size).toBe(1)
    }
    expect(roleOf(asker[0]!)).toBe(client)
    expect(asker[0]!.partition).toBe(answerer[0]!.partition)
    expect(asker.some(r => stateOf(r) === closed)).toBe(true)
  })

  it('keeps its own figures in balance', async () => {
    const tell = observation.group.run(traffic)
    const capture = start()
    await tell('ready')
    await tell('short 300')
    capture.close()
    const counters = capture.counters()
    const delivered = decodeFlushes(observation.flushes).reduce((total, f) => total + f.frame.recordCount, 0)
    expect(counters.recordsEncoded - counters.recordsMerged).toBe(delivered)
    expect(counters.ringConsumed).toBe(counters.ringProduced)
    expect(counters.ringProduced).toBeGreaterThanOrEqual(600)
    expect(counters.ringFull + counters.flowTableFull + counters.storageRefused).toBe(0)
  })

  it('counts rows that a tiny ring had no room for, and hides nothing', async () => {
    const tell = observation.group.run(traffic)
    const capture = start({ ringBytes: 4096, flushMs: 1000 })
    await tell('ready')
    await tell('short 600')
    capture.close()
    const counters = capture.counters()
    expect(counters.ringConsumed).toBe(counters.ringProduced)
    const ends = recordsOf(observation.flushes).filter(r => stateOf(r) === closed && reasonOf(r) !== 0)
    expect(ends.length + counters.ringFull).toBe(1200)
  })

  it('runs beside another one on its own group', async () => {
    const other = new ObservedGroup()
    try {
      const theirs: ArrayBuffer[] = []
      const tell = observation.group.run(traffic)
      const tellOther = other.run(traffic)
      const first = start()
      const second = start({ cgroupPath: other.path, onFlush: flush => theirs.push(flush) })
      await tell('ready')
      await tellOther('ready')
      await tell('short 20')
      await tellOther('short 30')
      first.close()
      second.close()
      const ends = (of: ArrayBuffer[]): number => recordsOf(of).filter(r => stateOf(r) === closed).length
      expect(ends(observation.flushes)).toBe(40)
      expect(ends(theirs)).toBe(60)
    } finally {
      await other.remove()
    }
  })

  it('delivers what is pending although a callback throws, then throws that', async () => {
    const tell = observation.group.run(traffic)
    let calls = 0
    const capture = start({
      flushMs: 60_000,
      onFlush: flush => {
        observation.flushes.push(flush)
        if (calls++ === 0) throw new Error('mine')
      },
    })
    await tell('ready')
    await tell('short 50')
    expect(() => capture.close()).toThrow('mine')
    expect(recordsOf(observation.flushes).filter(r => stateOf(r) === closed)).toHaveLength(100)
    capture.close()
  })

  it('says in plain words what it needs', () => {
    expect(() => start({ cgroupPath: '/nonexistent' })).toThrow(/^'?\/nonexistent.*\.$|cgroup/)
    expect(() => start({ objectDir: join(observation.group.path) })).toThrow(/\.$/)
  })

  it('leaves nothing behind: no memory, no program, no map, no thread', () => {
    const ran = spawnSync(
      process.execPath,
      ['--expose-gc', join(import.meta.dirname, 'leak-loop.ts'), observation.group.path],
      {
        encoding: 'utf8',
      },
    )
    expect(ran.stderr).toBe('')
    expect(ran.status).toBe(0)
    const { warmKb, endKb, programsHeld, programsLeft, threads } = JSON.parse(ran.stdout)
    expect(endKb - warmKb).toBeLessThan(2048)
    expect(programsHeld).toBeGreaterThan(5)
    expect(programsLeft).toBe(0)
    expect(threads.after).toBe(threads.before)
  })

  it('loads its programs in a process that signals keep interrupting', () => {
    const profiles = mkdtempSync(join(tmpdir(), 'sbnat-'))
    const source = `
      const { openCapture } = await import(${JSON.stringify(join(import.meta.dirname, '../../packages/collector/src/source/open-capture.ts'))})
      openCapture({ cgroupPath: ${JSON.stringify(observation.group.path)}, flushMs: 100, partitions: 1, ringBytes: 65536, maxFlows: 100, udp: true, taskFiles: false, reportMs: 1000, announceMs: 60000, onFlush() {} }).close()`
    const profiler = ['--cpu-prof', `--cpu-prof-dir=${profiles}`, '--cpu-prof-interval=200']
    try {
      const ran = spawnSync(process.execPath, [...profiler, '--input-type=module', '-e', source], {
        encoding: 'utf8',
        timeout: 60_000,
      })
      expect(ran.stderr).toBe('')
      expect(ran.status).toBe(0)
    } finally {
      rmSync(profiles, { recursive: true })
    }
  })

  it.each([
    ['process.exit without close', 'process.exit(0)'],
    ['a worker that is terminated', ''],
  ])('survives %s', (_, end) => {
    const source = `
      const { openCapture } = await import(${JSON.stringify(join(import.meta.dirname, '../../packages/collector/src/source/open-capture.ts'))})
      openCapture({ cgroupPath: ${JSON.stringify(observation.group.path)}, flushMs: 100, partitions: 1, ringBytes: 65536, maxFlows: 100, udp: true, taskFiles: false, reportMs: 1000, announceMs: 60000, onFlush() {} });
      `
    const inWorker = `
      const { Worker } = require('node:worker_threads')
      const w = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(source.replace('await import(', 'await import("file://" + ').concat('(await import("node:worker_threads")).parentPort.postMessage(1)'))})))
      w.on('error', e => { console.error(e); process.exit(2) })
      w.once('message', () => w.terminate().then(() => { console.log('terminated') }))`
    const args = end ? ['--input-type=module', '-e', source + end] : ['-e', inWorker]
    const ran = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 })
    expect(ran.stderr).toBe('')
    expect(ran.signal).toBeNull()
    expect(ran.status).toBe(0)
  })
})
