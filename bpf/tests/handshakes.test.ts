import { describe, expect, it } from 'vitest'
import { Counter, Flag, Reason, Role, type Row, type Rows } from './rows.ts'
import { eachOnStage, Net, type Peer, type Stage, whyNot } from './stage.ts'

const skip = whyNot()
let stage: Stage
let client: Peer
let server: Peer

eachOnStage(scene => {
  ;({ stage, client, server } = scene)
})

function pair(all: readonly Row[]): { dialler: Row; acceptor: Row } {
  const dialler = all.find(row => row.role === Role.client)
  const acceptor = all.find(row => row.role === Role.server)
  if (all.length !== 2 || dialler === undefined || acceptor === undefined)
    throw new Error(`not two ends: ${JSON.stringify(all)}`)
  expect([dialler.diallerIsn, dialler.acceptorIsn]).toEqual([acceptor.diallerIsn, acceptor.acceptorIsn])
  expect(dialler.flags & acceptor.flags & Flag.keyValid).not.toBe(0)
  return { dialler, acceptor }
}

async function exchange(port: number, rows: Rows): Promise<{ dialler: Row; acceptor: Row }> {
  await client.run('send c 700')
  await server.run('receive a 700', 'send a 300')
  await client.run('receive c 300', 'close c')
  await server.run('receive a -1', 'close a')
  return pair(await rows.until('closed', port, 2))
}

describe.skipIf(skip !== undefined)('unusual handshakes', () => {
  it('Fast Open: data in the SYN is payload, and both ends have one key', async () => {
    const rows = await stage.rows()
    for (const place of ['client', 'server'] as const) stage.in(place, 'sysctl -qw net.ipv4.tcp_fastopen=3')
    await server.run('tcp l 4', `bind l ${Net.server} 7101`, 'fastopen-listen l', 'listen l 8')
    for (let i = 0; i < 2; i++) {
      const sent = await client.run('tcp c 4', `fastopen-send c ${Net.server} 7101 200`)
      expect(sent.result).toBe(200)
      await server.run('accept a l', 'receive a 200', 'send a 50')
      await client.run('receive c 50', 'close c')
      await server.run('receive a -1', 'close a')
    }
    const all = await rows.until('closed', 7101, 4)
    for (const two of [all.slice(0, 2), all.slice(2)]) {
      const { dialler, acceptor } = pair(two)
      expect(dialler).toMatchObject({ bytesSent: 200, bytesReceived: 50, reason: Reason.fin })
      expect(acceptor).toMatchObject({ bytesSent: 50, bytesReceived: 200, reason: Reason.fin })
    }
    expect(stage.in('server', 'grep TcpExt: /proc/net/netstat')).toContain('TCPFastOpenPassive')
  })

  it('SYN cookies: the key survives without a request on the acceptor', async () => {
    const rows = await stage.rows()
    stage.in('server', 'sysctl -qw net.ipv4.tcp_syncookies=2')
    await server.run('tcp l 4', `bind l ${Net.server} 7102`, 'listen l 8')
    await client.run('tcp c 4', `connect c ${Net.server} 7102`)
    await server.run('accept a l')
    const { dialler, acceptor } = await exchange(7102, rows)
    expect(dialler).toMatchObject({ bytesSent: 700, bytesReceived: 300 })
    expect(acceptor).toMatchObject({ bytesSent: 300, bytesReceived: 700, comm: 'traffic', tgid: server.pid })
  })

  it('simultaneous open: the end with the smaller number is the dialler, at both ends', async () => {
    const rows = await stage.rows()
    stage.rule('forward', 'tcp flags syn drop')
    await client.run('tcp c 4', `bind c ${Net.client} 7103`, 'nonblock c')
    await server.run('tcp a 4', `bind a ${Net.server} 7103`, 'nonblock a')
    await client.ask(`connect c ${Net.server} 7103`)
    await server.ask(`connect a ${Net.client} 7103`)
    stage.clear()
    await client.run('wait c', 'block c')
    await server.run('wait a', 'block a')
    const { dialler, acceptor } = await exchange(7103, rows)
    expect(dialler.diallerIsn).toBeLessThan(dialler.acceptorIsn)
    for (const row of [dialler, acceptor]) {
      const atClient = row.local === Net.client
      expect(row).toMatchObject(
        atClient ? { bytesSent: 700, bytesReceived: 300 } : { bytesSent: 300, bytesReceived: 700 },
      )
    }
  })

  it('a listener that offers MPTCP accepts plain TCP, and its children have their owner', async () => {
    const opened = await server.ask('mptcp l')
    if (opened.result < 0) return
    await server.run(`bind l ${Net.server} 7104`, 'listen l 8')
    const rows = await stage.rows({ files: true })
    await client.run('tcp c 4', `connect c ${Net.server} 7104`)
    await server.run('accept a l')
    const { dialler, acceptor } = await exchange(7104, rows)
    expect(dialler).toMatchObject({ bytesSent: 700, bytesReceived: 300 })
    expect(acceptor).toMatchObject({ bytesSent: 300, bytesReceived: 700, comm: 'traffic', tgid: server.pid })
    expect(acceptor.flags & Flag.adopted).toBe(0)
  })

  it('a port is dialled from and used again within a second', async () => {
    const rows = await stage.rows()
    await server.run('tcp l 4', `bind l ${Net.server} 7105`, 'listen l 8')
    for (let i = 0; i < 3; i++) {
      await client.run(
        'tcp c 4',
        `bind c ${Net.client} 7106`,
        `connect c ${Net.server} 7105`,
        `send c ${i + 1}`,
      )
      await server.run('accept a l', `receive a ${i + 1}`)
      await client.run('linger0 c', 'close c')
      await server.ask('receive a -1')
      await server.run('close a')
    }
    const dialled = (await rows.until('closed', 7105, 6)).filter(row => row.role === Role.client)
    expect(dialled.map(row => row.bytesSent)).toEqual([1, 2, 3])
    expect(new Set(dialled.map(row => row.diallerIsn)).size).toBe(3)
    expect(new Set(dialled.map(row => row.localPort))).toEqual(new Set([7106]))
  })
})

describe.skipIf(skip !== undefined)('sockets that come from elsewhere', () => {
  it('are marked where the program is not in the cgroup that the socket was made in', async () => {
    const rows = await stage.rows()
    await server.run(
      'tcp l 4',
      `bind l ${Net.server} 7120`,
      'tcp m 4',
      `bind m ${Net.server} 7121`,
      'listen m 8',
    )
    await client.run('tcp c 4', 'tcp d 4')
    stage.move(server.pid, 'elsewhere')
    await server.run('listen l 8')
    await client.run(`connect c ${Net.server} 7120`, 'close c')
    stage.move(client.pid, 'elsewhere')
    await client.run(`connect d ${Net.server} 7121`, 'close d')
    const inherited = async (port: number): Promise<boolean[]> => {
      const { dialler, acceptor } = pair(await rows.until('closed', port, 2))
      return [dialler, acceptor].map(row => (row.flags & Flag.inherited) !== 0)
    }
    await server.run('accept a l', 'receive a -1', 'close a', 'accept b m', 'receive b -1', 'close b')
    expect(await inherited(7120)).toEqual([false, true])
    expect(await inherited(7121)).toEqual([true, false])
  })
})

describe.skipIf(skip !== undefined)('connections older than the collector', () => {
  async function older(port: number): Promise<void> {
    await server.run('tcp l 4', `bind l ${Net.server} ${port}`, 'listen l 8')
    await client.run('tcp c 4', `connect c ${Net.server} ${port}`, 'send c 5000')
    await server.run('accept a l', 'receive a 5000')
  }

  it('are found by their open files, with their programs', async () => {
    await older(7110)
    await client.run('tcp d 4', `connect d ${Net.server} 7110`)
    const rows = await stage.rows({ files: true })
    const found = await rows.untilRow(
      'the dialler',
      r => r.kind === 'reading' && r.role === Role.client && r.bytesSent === 5000,
    )
    expect(found).toMatchObject({ bytesReceived: 0, comm: 'traffic', tgid: client.pid })
    await client.run('tcp e 4', `connect e ${Net.server} 7110`, 'close e', 'close d')
    await server.run('accept x l', 'accept y l')
    const all = await rows.until('closed', 7110, 2)
    for (const row of all.filter(r => r.role === Role.server))
      expect(row).toMatchObject({ comm: 'traffic', tgid: server.pid })
  })

  it('are adopted on their first packet and counted from it, with the right key and role', async () => {
    await older(7111)
    const rows = await stage.rows()
    await client.run('send c 700')
    await server.run('receive a 700')
    const base = await rows.untilRow('dialler', r => r.kind === 'reading' && r.role === Role.client)
    const other = await rows.untilRow('acceptor', r => r.kind === 'reading' && r.role === Role.server)
    expect(base).toMatchObject({ bytesSent: 5000, bytesReceived: 0, dataSegmentsReceived: 0 })
    expect(other).toMatchObject({ bytesSent: 0, bytesReceived: 5000 })
    expect(base.dataSegmentsSent).toBe(other.dataSegmentsReceived)
    expect(base.flags & other.flags & Flag.adopted).not.toBe(0)
    expect((base.flags | other.flags) & Flag.guessed).toBe(0)
    await rows.untilRow(
      'the 700',
      r => r.kind === 'reading' && r.role === Role.client && r.bytesSent === 5700,
    )
    const { dialler, acceptor } = await exchange(7111, rows)
    expect([base.diallerIsn, base.acceptorIsn]).toEqual([dialler.diallerIsn, dialler.acceptorIsn])
    expect(dialler).toMatchObject({ bytesSent: 6400, bytesReceived: 300, reason: Reason.fin })
    expect(acceptor).toMatchObject({ bytesSent: 300, bytesReceived: 6400, reason: Reason.fin })
  })

  it('have a key even if they end before anybody could look twice', async () => {
    await older(7112)
    const rows = await stage.rows()
    await client.run('close c')
    await server.run('receive a -1', 'close a')
    const { dialler, acceptor } = pair(await rows.until('closed', 7112, 2))
    expect(dialler).toMatchObject({ bytesSent: 5000, reason: Reason.fin })
    expect(acceptor).toMatchObject({ bytesReceived: 5000, reason: Reason.fin })
    expect(dialler.flags & acceptor.flags & Flag.adopted).not.toBe(0)
  })

  it('may not be accepted yet', async () => {
    await server.run('tcp l 4', `bind l ${Net.server} 7113`, 'listen l 8')
    await client.run('tcp c 4', `connect c ${Net.server} 7113`)
    const rows = await stage.rows({ files: true })
    await server.run('accept a l')
    const { dialler, acceptor } = await exchange(7113, rows)
    expect(dialler).toMatchObject({ bytesSent: 700, bytesReceived: 300 })
    expect(acceptor).toMatchObject({ bytesSent: 300, bytesReceived: 700 })
  })

  it('are counted through a local transmit failure, with the role taken from the port and marked', async () => {
    await older(7114)
    stage.in('client', 'nft "add table ip f; add chain ip f o { type filter hook output priority 0; }"')
    stage.in('client', "nft 'add rule ip f o tcp dport 7114 drop'")
    await client.run('send c 900')
    const lost = await client.run('info c')
    expect(lost.bytesSent).toBeGreaterThan(5000)
    stage.in('client', 'nft flush chain ip f o')
    const rows = await stage.rows()
    await server.run('receive a 900')
    const { dialler, acceptor } = await exchange(7114, rows)
    expect(dialler).toMatchObject({ bytesSent: 6600, bytesReceived: 300, role: Role.client })
    expect(acceptor).toMatchObject({ bytesSent: 300, bytesReceived: 6600, role: Role.server })
    const { counters } = await rows.flush()
    expect(counters[Counter.adopted]).toBe(2)
    expect(dialler.flags & Flag.guessed).not.toBe(0)
  })
})
