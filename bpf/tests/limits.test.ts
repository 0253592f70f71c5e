import { describe, expect, it } from 'vitest'
import { Counter, Flag, Role } from './rows.ts'
import { eachOnStage, Net, type Peer, type Stage, whyNot } from './stage.ts'

const skip = whyNot()
const UDP_FLOWS = 65_536
let stage: Stage
let client: Peer
let server: Peer

eachOnStage(scene => {
  ;({ stage, client, server } = scene)
})

describe.skipIf(skip !== undefined)('limits', () => {
  it('attaches everything on a kernel that has it all', async () => {
    const rows = await stage.rows({ files: true })
    const hooks = rows.opened.hooks as { hook: string; attached: boolean; reason: string }[]
    for (const hook of hooks) if (!hook.attached) expect(hook.reason).not.toBe('')
    expect(hooks.filter(hook => !hook.attached && !hook.reason.includes('does not have it'))).toEqual([])
  })

  it('counts exactly what found no room in the ring', async () => {
    const rows = await stage.rows({ ringBytes: 4096 })
    await rows.command('hold')
    await server.run('tcp l 4', `bind l ${Net.server} 7301`, 'listen l 128')
    const echoed = server.ask('echo l 300')
    expect((await client.run(`burst ${Net.server} 7301 300 10`)).result).toBe(300)
    expect((await echoed).result).toBe(300)
    const held = await rows.flush()
    expect(held.consumed).toBe(0)
    expect(held.counters[Counter.full]).toBeGreaterThan(0)
    expect((held.counters[Counter.full] ?? 0) + (held.counters[Counter.produced] ?? 0)).toBe(600)
    const { consumed, counters } = await rows.command('resume')
    expect(consumed).toBe(counters[Counter.produced])
    expect(rows.of('closed', 7301)).toHaveLength(consumed)
  })

  it('counts each connection whose storage the kernel refused, once; a dialler needs none', async ({
    skip: leaveOut,
  }) => {
    const isThere = stage.in('client', 'ls /proc/sys/net/core').includes('optmem_max')
    leaveOut(!isThere, 'this kernel has no optmem_max for each network namespace')
    const rows = await stage.rows()
    for (const place of ['client', 'server'] as const) stage.in(place, 'sysctl -qw net.core.optmem_max=0')
    await server.run('tcp l 4', `bind l ${Net.server} 7302`, 'listen l 128')
    const echoed = server.ask('echo l 20')
    await client.run(`burst ${Net.server} 7302 20 10`)
    await echoed
    const { counters } = await rows.flush()
    expect(counters[Counter.refused]).toBe(20)
    expect(counters[Counter.sockets]).toBe(20)
    const told = await rows.until('closed', 7302, 20)
    expect(told.filter(row => row.role === Role.client)).toHaveLength(20)
    expect(told).toHaveLength(20)
  })

  it('counts each datagram whose flow found no room', async () => {
    const rows = await stage.rows()
    const sent = await client.run('udp c 4', `spray c ${UDP_FLOWS + 500} 8`)
    expect(sent.result).toBe(UDP_FLOWS + 500)
    const { counters } = await rows.flush()
    expect(counters[Counter.udpFull]).toBe(500)
  })

  it('counts every datagram of more flows than have a place of their own, also in one that was had before', async () => {
    const flows = 6_000 // SB_UDP_COUNTS is 4,096
    const rows = await stage.rows()
    await server.run('udp s 4', `bind s ${Net.server} 7304`)
    await client.run('udp c 4', `connect c ${Net.server} 7304`, ...Array(5).fill('send c 10'), 'close c')
    const gone = await rows.untilRow('gone', row => row.remotePort === 7304 && (row.flags & Flag.gone) !== 0)
    expect(gone).toMatchObject({ datagramsSent: 5, bytesSent: 50 })
    await rows.flush() // its place is free from here on, and the flows to come need all there are
    await client.run('udp d 4')
    for (let round = 0; round < 2; round++)
      expect((await client.run(`spray d ${flows} 8`)).result).toBe(flows)
    await rows.flush()
    const latest = new Map(rows.of('udp', 9).map(row => [row.remote, row] as const))
    expect(latest.size).toBe(flows)
    expect([...latest.values()].filter(row => row.datagramsSent !== 2 || row.bytesSent !== 16)).toEqual([])
  })

  it('keeps its counts through 4 GiB and through readings in the midst of it', async () => {
    const rows = await stage.rows()
    const total = 4_500_000_000
    const inner = stage.peer('client')
    await inner.run('tcp l 4', 'bind l 127.0.0.1 7303', 'listen l 8')
    await client.run('tcp c 4', 'connect c 127.0.0.1 7303')
    await inner.run('accept a l')
    const received = inner.ask(`receive a ${total}`, 100_000)
    expect((await client.ask(`send c ${total}`, 100_000)).result).toBe(total)
    expect((await received).result).toBe(total)
    await client.run('close c')
    await inner.run('receive a -1', 'close a')
    const ended = await rows.until('closed', 7303, 2)
    expect(ended.find(row => row.role === Role.client)).toMatchObject({ bytesSent: total, bytesReceived: 0 })
    expect(ended.find(row => row.role === Role.server)).toMatchObject({ bytesSent: 0, bytesReceived: total })
    for (const end of ended) {
      const all = rows.of('reading', 7303).filter(row => row.cookie === end.cookie)
      let before = 0
      for (const row of [...all, end]) {
        expect([row.diallerIsn, row.acceptorIsn]).toEqual([end.diallerIsn, end.acceptorIsn])
        expect(row.bytesSent + row.bytesReceived).toBeGreaterThanOrEqual(before)
        before = row.bytesSent + row.bytesReceived
      }
      expect(before).toBe(total)
    }
  })
})
