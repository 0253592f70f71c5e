import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { cgroup2Mount } from './observed-group.ts'

const canCapture = process.getuid?.() === 0 && existsSync('/sys/kernel/btf/vmlinux')
const source = new URL('../../packages/collector/src/source/open-capture.ts', import.meta.url).href

/** In a process of its own: attaches, gives everything up, makes threads and connections, and says what it saw. */
const program = `
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { dropCapabilities, openCapture } from ${JSON.stringify(source)}

const held = () => readdirSync('/proc/self/task').flatMap(tid => {
  const status = readFileSync('/proc/self/task/' + tid + '/status', 'utf8')
  return ['CapInh', 'CapPrm', 'CapEff'].map(name => new RegExp('^' + name + ':\\\\s*([0-9a-f]+)', 'm').exec(status)[1])
}).filter(mask => BigInt('0x' + mask) !== 0n).length
let flushed = 0
const capture = openCapture({
  cgroupPath: ${JSON.stringify('CGROUP')}, flushMs: 100, partitions: 1, ringBytes: 1 << 20, maxFlows: 65536,
  udp: UDP, taskFiles: true, reportMs: 1000, announceMs: 60000, onFlush: flush => { flushed += flush.byteLength },
})
const before = held()
const permitted = /^CapPrm:\\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]
const problem = dropCapabilities()
const after = held()
const worker = new Worker('setInterval(() => {}, 1000)', { eval: true })
await once(worker, 'online')
const withWorker = held()
await worker.terminate()
const again = dropCapabilities()
const earlier = capture.counters()
const flushedEarlier = flushed
const server = createServer(socket => socket.resume().end('x')).listen(0, '127.0.0.1')
await once(server, 'listening')
for (let i = 0; i < 20; i++) {
  const socket = connect(server.address().port, '127.0.0.1').resume()
  await once(socket, 'close')
}
const deadline = Date.now() + 20_000
const ends = () => capture.counters().recordsEncoded - earlier.recordsEncoded
while ((ends() < 40 || flushed === flushedEarlier) && Date.now() < deadline) await new Promise(r => setTimeout(r, 50))
const made = ends()
server.close()
capture.close()
process.stdout.write(JSON.stringify({ before, permitted, problem, after, withWorker, again, made, flushed: flushed > flushedEarlier }))
`

function run(udp: boolean, ...launcher: string[]) {
  const script = program.replace('"CGROUP"', JSON.stringify(cgroup2Mount())).replace('UDP', String(udp))
  const flags = ['--conditions=source', '--input-type=module', '-e', script]
  const [command, ...args] = [...launcher, process.execPath, ...flags]
  return JSON.parse(execFileSync(command!, args, { encoding: 'utf8' }))
}

describe.skipIf(!canCapture)('dropCapabilities', () => {
  it('leaves no thread a capability, and the capture goes on', () => {
    const { before, permitted: _all, made, ...rest } = run(true)
    expect(before).toBeGreaterThan(4)
    expect(rest).toEqual({ after: 0, withWorker: 0, flushed: true })
    expect(made).toBeGreaterThanOrEqual(40)
  })

  it('is all the same for who had no more than BPF and PERFMON, which connections take without the packet hooks', () => {
    const few = ['setpriv', '--bounding-set', '-all,+bpf,+perfmon', '--inh-caps', '-all']
    const { before: _many, permitted, made, ...rest } = run(false, ...few)
    expect(permitted).toBe('000000c000000000')
    expect(rest).toEqual({ after: 0, withWorker: 0, flushed: true })
    expect(made).toBeGreaterThanOrEqual(40)
  })
})
