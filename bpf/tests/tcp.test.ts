import { describe, expect, it } from 'vitest'
import { Counter, Flag, Reason, Role, type Row, type Rows } from './rows.ts'
import { eachOnStage, Net, Net6, type Peer, type Stage, whyNot } from './stage.ts'

const skip = whyNot()
let stage: Stage
let rows: Rows
let client: Peer
let server: Peer

eachOnStage(async scene => {
  ;({ stage, client, server } = scene)
  rows = await stage.rows()
})

async function listen(port: number, address: string = Net.server): Promise<void> {
  await server.run(`tcp l ${address.includes(':') ? 6 : 4}`, `bind l ${address} ${port}`, 'listen l 128')
}

async function connect(port: number, address: string = Net.server): Promise<void> {
  await client.run(`tcp c ${address.includes(':') ? 6 : 4}`, `connect c ${address} ${port}`)
  await server.run('accept a l')
}

function ends(all: readonly Row[]): { dialler: Row; acceptor: Row } {
  const dialler = all.find(row => row.role === Role.client)
  const acceptor = all.find(row => row.role === Role.server)
  if (all.length !== 2 || dialler === undefined || acceptor === undefined)
    throw new Error(`not two ends: ${JSON.stringify(all)}`)
  expect(dialler.diallerIsn).toBe(acceptor.diallerIsn)
  expect(dialler.acceptorIsn).toBe(acceptor.acceptorIsn)
  expect(dialler.flags & Flag.keyValid).not.toBe(0)
  expect(acceptor.flags & Flag.keyValid).not.toBe(0)
  return { dialler, acceptor }
}

describe.skipIf(skip !== undefined)('TCP connections', () => {
  it('says what both ends exchanged, who they are and how it ended, whoever closes first', async () => {
    await listen(7001)
    for (const first of ['client', 'server'] as const) {
      await connect(7001)
      await client.run('send c 123457')
      await server.run('receive a 123457', 'send a 54321')
      await client.run('receive c 54321')
      const [one, two] = first === 'client' ? [client, server] : [server, client]
      const [mine, yours] = first === 'client' ? ['c', 'a'] : ['a', 'c']
      await one.run(`shut ${mine}`)
      await two.run(`receive ${yours} -1`, `close ${yours}`)
      await one.run(`receive ${mine} -1`, `close ${mine}`)
    }
    const all = await rows.until('closed', 7001, 4)
    for (const pair of [
      all.filter(r => r.localPort === all[0]?.localPort || r.remotePort === all[0]?.localPort),
    ])
      expect(pair.length).toBeGreaterThan(0)
    const dialled = all.filter(row => row.role === Role.client)
    expect(dialled).toHaveLength(2)
    for (const one of dialled) {
      const { dialler, acceptor } = ends(all.filter(row => row.diallerIsn === one.diallerIsn))
      expect(dialler).toMatchObject({
        bytesSent: 123457,
        bytesReceived: 54321,
        reason: Reason.fin,
        family: 4,
      })
      expect(acceptor).toMatchObject({
        bytesSent: 54321,
        bytesReceived: 123457,
        reason: Reason.fin,
        family: 4,
      })
      expect(dialler).toMatchObject({
        tgid: client.pid,
        comm: 'traffic',
        remotePort: 7001,
        remote: Net.server,
      })
      expect(acceptor).toMatchObject({
        tgid: server.pid,
        comm: 'traffic',
        localPort: 7001,
        remote: Net.client,
      })
      expect(dialler).toMatchObject({ netns: stage.netns('client'), retransmits: 0 })
      expect(acceptor).toMatchObject({ netns: stage.netns('server'), retransmits: 0 })
      expect(dialler.handshakeUs).toBeGreaterThan(0)
      expect(acceptor.handshakeUs).toBeGreaterThan(0)
      expect(dialler.dataSegmentsSent).toBe(acceptor.dataSegmentsReceived)
      expect(acceptor.dataSegmentsSent).toBe(dialler.dataSegmentsReceived)
      const both = Flag.finSent | Flag.finReceived
      expect(dialler.flags & both).toBe(both)
      expect(dialler.flags & (Flag.adopted | Flag.guessed | Flag.inherited)).toBe(0)
    }
  })

  it('counts IPv6, and v4-mapped addresses as IPv4', async () => {
    await listen(7002, Net6.server)
    await connect(7002, Net6.server)
    await client.run('send c 1000', 'close c')
    await server.run('receive a -1', 'close a')
    const six = ends(await rows.until('closed', 7002, 2))
    expect(six.dialler).toMatchObject({ family: 6, local: Net6.client, remote: Net6.server, bytesSent: 1000 })
    expect(six.acceptor).toMatchObject({
      family: 6,
      local: Net6.server,
      remote: Net6.client,
      bytesReceived: 1000,
    })

    await server.run('tcp m 6', 'bind m :: 7003', 'listen m 5')
    await client.run('tcp d 4', `connect d ${Net.server} 7003`, 'send d 77', 'close d')
    await server.run('accept n m', 'receive n -1', 'close n')
    const mapped = ends(await rows.until('closed', 7003, 2))
    expect(mapped.acceptor).toMatchObject({
      family: 4,
      local: Net.server,
      remote: Net.client,
      bytesReceived: 77,
    })
  })

  it('shows an open connection, and shows it again only when its counters move', async () => {
    await listen(7004)
    await connect(7004)
    await client.run('send c 10')
    await server.run('receive a 10')
    const row = await rows.untilRow(
      '10 bytes',
      r => r.kind === 'reading' && r.role === Role.client && r.bytesSent === 10,
    )
    expect(row.flags & Flag.keyValid).not.toBe(0)
    await rows.untilRow(
      'quiet',
      r => r.kind === 'reading' && r.role === Role.client && (r.flags & Flag.quiet) !== 0,
    )
    await rows.flush()
    const before = rows.of('reading', 7004).length
    for (let i = 0; i < 5; i++) await rows.flush()
    expect(rows.of('reading', 7004)).toHaveLength(before)
    await rows.command('sweep')
    expect(rows.of('reading', 7004).length).toBeGreaterThanOrEqual(before + 2)
    await server.run('send a 20')
    await rows.untilRow(
      '20 bytes',
      r => r.kind === 'reading' && r.role === Role.client && r.bytesReceived === 20,
    )
  })

  it('tells a refused dial', async () => {
    const answer = await client.run('tcp c 4').then(() => client.ask(`connect c ${Net.server} 7005`))
    expect(answer.result).toBe(-1)
    const [row] = await rows.until('failed', 7005, 1)
    expect(row).toMatchObject({
      reason: Reason.refused,
      bytesSent: 0,
      bytesReceived: 0,
      acceptorIsn: 0,
      role: Role.client,
    })
    expect(row).toMatchObject({ tgid: client.pid, comm: 'traffic', remote: Net.server, remotePort: 7005 })
    expect(row?.diallerIsn).not.toBe(0)
  })

  it('tells resets by either end, with unread data too', async () => {
    await listen(7006)
    for (const cause of ['linger0 c', 'unread']) {
      await connect(7006)
      await client.run('send c 500')
      await server.run('receive a 500', 'send a 300')
      if (cause === 'unread')
        await rows.untilRow('300 bytes', r => r.role === Role.client && r.bytesReceived === 300)
      else await client.run(cause, 'receive c 300')
      await client.run('close c')
      await server.ask('receive a -1')
      await server.run('close a')
    }
    const all = await rows.until('closed', 7006, 4)
    const dialled = all.filter(row => row.role === Role.client)
    expect(dialled).toHaveLength(2)
    for (const one of dialled) {
      const { dialler, acceptor } = ends(all.filter(row => row.diallerIsn === one.diallerIsn))
      expect(dialler).toMatchObject({ reason: Reason.rstSent, bytesSent: 500, bytesReceived: 300 })
      expect(acceptor).toMatchObject({ reason: Reason.rstReceived, bytesSent: 300, bytesReceived: 500 })
    }
    await connect(7006)
    await server.run('send a 5', 'linger0 a')
    await client.run('receive c 5')
    await server.run('close a')
    await client.ask('receive c -1')
    const later = await rows.until('closed', 7006, 6)
    const { dialler, acceptor } = ends(later.slice(4))
    expect(dialler).toMatchObject({ reason: Reason.rstReceived, bytesReceived: 5 })
    expect(acceptor).toMatchObject({ reason: Reason.rstSent, bytesSent: 5 })
  })

  it('tells that a program closed while the other end was still sending', async () => {
    await listen(7015)
    await connect(7015)
    await server.run('send a 100')
    // The client's FIN is held back, so that the data find it still closing.
    stage.rule('forward', 'tcp dport 7015 tcp flags & fin == fin drop')
    await client.run('receive c 100', 'close c')
    await server.run('send a 100')
    await server.ask('receive a -1')
    await server.run('close a')
    const { dialler, acceptor } = ends(await rows.until('closed', 7015, 2))
    expect(dialler).toMatchObject({ reason: Reason.rstSent, bytesSent: 0, bytesReceived: 100 })
    expect(acceptor).toMatchObject({ reason: Reason.rstReceived, bytesSent: 200, bytesReceived: 0 })
  })

  it('tells a black-holed SYN: by the kernel, and when the program gives up first', async () => {
    stage.rule('forward', 'tcp dport 7007 drop')
    await client.run('tcp c 4', 'syn-retries c 1')
    const answer = await client.ask(`connect c ${Net.server} 7007`)
    expect(answer.result).toBe(-1)
    const [kernel] = await rows.until('failed', 7007, 1)
    expect(kernel).toMatchObject({ reason: Reason.timedOut, bytesSent: 0 })
    expect(kernel?.retransmits).toBeGreaterThan(0)
    expect(kernel?.retransmits).toBe(stage.tcpCounter('client', 'RetransSegs'))

    await client.run('tcp d 4', 'nonblock d')
    await client.ask(`connect d ${Net.server} 7007`)
    await client.run('close d')
    const [, given] = await rows.until('failed', 7007, 2)
    expect(given).toMatchObject({ reason: Reason.abandoned, retransmits: 0 })
    expect(rows.of('half_open', 7007)).toHaveLength(0)
  })

  it('tells an unreachable host', async () => {
    await client.run('tcp c 4')
    const answer = await client.ask(`connect c ${Net.unused} 7008`)
    expect(answer.result).toBe(-1)
    const [row] = await rows.until('failed', 7008, 1)
    expect(row).toMatchObject({ reason: Reason.unreachable, bytesSent: 0 })
  })

  it('makes up for ends that came while the same program was at work on their CPU', async () => {
    // Each dial keeps its CPU in the program for 2 ms, and the failures of earlier dials come in the meantime.
    const slow = await stage.rows({ slow: true })
    stage.in('client', 'for f in /proc/sys/net/ipv4/neigh/*/retrans_time_ms; do echo 100 > $f; done')
    const { result } = await client.ask(`strand ${Net.near} 7016 600 10000`, 30_000)
    const failed = await slow.until('failed', 7016, result)
    const { counters } = await slow.flush()
    expect(counters[Counter.missed]).toBeGreaterThan(0)
    expect(counters[Counter.madeUpFor]).toBeGreaterThan(0)
    expect(slow.of('failed', 7016)).toHaveLength(result)
    for (const row of failed) expect(row).toMatchObject({ reason: Reason.unreachable, bytesSent: 0 })
    expect(new Set(failed.map(row => row.cookie)).size).toBe(result)
  })

  it("tells the listener's side of a dial whose SYN-ACK is lost, under the dialler's sequence number", async () => {
    await listen(7009)
    stage.rule('forward', 'tcp sport 7009 drop')
    await client.run('tcp c 4', 'syn-retries c 1')
    await client.ask(`connect c ${Net.server} 7009`)
    const [failed] = await rows.until('failed', 7009, 1)
    expect(failed).toMatchObject({ reason: Reason.timedOut })
    const [half] = await rows.until('half_open', 7009, 1)
    expect(half).toMatchObject({ role: Role.server, diallerIsn: failed?.diallerIsn, localPort: 7009 })
    expect(half).toMatchObject({
      remote: Net.client,
      remotePort: failed?.localPort,
      tgid: server.pid,
      comm: 'traffic',
    })
  })

  it('tells a connection whose path dies half-way', async () => {
    await listen(7010)
    await connect(7010)
    await client.run('user-timeout c 1500', 'send c 100')
    await server.run('receive a 100')
    stage.rule('forward', 'tcp dport 7010 drop')
    await client.run('send c 50')
    const [row] = await rows.until('closed', 7010, 1)
    expect(row).toMatchObject({ reason: Reason.kernelTimeout, bytesSent: 150, role: Role.client })
    expect(row?.retransmits).toBeGreaterThan(0)
  })

  it('counts payload once however often it is retransmitted, as the sockets themselves do', async () => {
    stage.segmentEach('client')
    stage.segmentEach('server')
    await listen(7011)
    await connect(7011)
    stage.rule('forward', 'tcp dport 7011 numgen random mod 100 < 3 counter drop')
    const total = 5_000_000
    const received = server.run(`receive a ${total}`)
    await client.run(`send c ${total}`)
    await received
    const quiet = await rows.untilRow(
      'the end of the transfer',
      r =>
        r.kind === 'reading' &&
        r.role === Role.client &&
        r.bytesSent === total &&
        (r.flags & Flag.quiet) !== 0,
    )
    stage.clear()
    const sent = await client.run('info c')
    const got = await server.run('info a')
    expect(quiet.retransmits).toBe(sent.totalRetrans)
    expect(quiet.dataSegmentsSent).toBe(sent.dataSegmentsOut)
    await client.run('close c')
    await server.run('receive a -1', 'close a')
    const { dialler, acceptor } = ends(await rows.until('closed', 7011, 2))
    expect(dialler).toMatchObject({ bytesSent: total, bytesReceived: 0, retransmits: sent.totalRetrans })
    expect(acceptor).toMatchObject({
      bytesSent: 0,
      bytesReceived: total,
      dataSegmentsReceived: got.dataSegmentsIn,
    })
    expect(dialler.retransmits).toBeGreaterThan(0)
    expect(dialler.retransmits).toBe(stage.tcpCounter('client', 'RetransSegs'))
    expect(dialler.dataSegmentsSent - acceptor.dataSegmentsReceived).toBeGreaterThan(0)
    expect(dialler.dataSegmentsSent - acceptor.dataSegmentsReceived).toBeLessThanOrEqual(dialler.retransmits)
  })

  it('finds the same key on both ends through address translation', async () => {
    stage.rule('prerouting', `ip daddr ${Net.service} tcp dport 80 dnat ip to ${Net.server}:7012`)
    stage.rule('postrouting', `ip daddr ${Net.server} masquerade`)
    await listen(7012)
    await connect(80, Net.service)
    await client.run('send c 4000', 'close c')
    await server.run('receive a -1', 'close a')
    const acceptor = await rows.untilRow('the acceptor', r => r.kind === 'closed' && r.localPort === 7012)
    const dialler = await rows.untilRow('the dialler', r => r.kind === 'closed' && r.remotePort === 80)
    expect(dialler).toMatchObject({ remote: Net.service, bytesSent: 4000, diallerIsn: acceptor.diallerIsn })
    expect(dialler.acceptorIsn).toBe(acceptor.acceptorIsn)
    expect(acceptor).toMatchObject({ remote: '10.201.2.1', bytesReceived: 4000 })
  })

  it('misses none of 5,000 short connections', async () => {
    // Room for all of them: on a loaded machine nobody may come to empty the ring meanwhile.
    const roomy = await stage.rows({ ringBytes: 4 << 20 })
    await listen(7013)
    const echoed = server.ask('echo l 5000', 60_000)
    const well = await client.run(`burst ${Net.server} 7013 5000 100`)
    expect(well.result).toBe(5000)
    expect((await echoed).result).toBe(5000)
    const all = await roomy.until('closed', 7013, 10_000)
    const { counters } = await roomy.flush()
    expect(roomy.of('closed', 7013)).toHaveLength(10_000)
    expect(counters[Counter.full]).toBe(0)
    const keys = new Map<string, number>()
    for (const row of all) {
      expect(row).toMatchObject({ bytesSent: 100, bytesReceived: 100, reason: Reason.fin })
      const key = `${row.diallerIsn}/${row.acceptorIsn}`
      keys.set(key, (keys.get(key) ?? 0) + row.role)
    }
    expect(keys.size).toBe(5000)
    for (const roles of keys.values()) expect(roles).toBe(Role.client + Role.server)
  })

  it('is not disturbed by a second collector, and sees nothing outside its cgroup', async () => {
    const inner = stage.peer('client', { child: 'inner' })
    const outside = stage.peer('client', { outside: true })
    await listen(7014)
    const second = await stage.rows({ cgroup: `${stage.cgroup}/inner` })
    for (const peer of [client, inner, outside]) {
      await peer.run('tcp c 4', `connect c ${Net.server} 7014`, 'send c 9', 'close c')
      await server.run('accept a l', 'receive a -1', 'close a')
    }
    await rows.until('closed', 7014, 5)
    await rows.flush()
    await second.flush()
    expect(rows.of('closed', 7014)).toHaveLength(5)
    expect(second.of('closed', 7014)).toHaveLength(1)
    expect(second.of('closed', 7014)[0]).toMatchObject({ tgid: inner.pid, bytesSent: 9 })
    expect(second.of('reading').length + second.of('failed').length).toBe(0)
  })
})
