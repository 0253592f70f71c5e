import { describe, expect, it } from 'vitest'
import { Flag, Role, type Row, type Rows } from './rows.ts'
import { eachOnStage, Net, Net6, type Peer, type Stage, whyNot } from './stage.ts'

const skip = whyNot()
let stage: Stage
let client: Peer
let server: Peer
let rows: Rows

eachOnStage(scene => {
  ;({ stage, client, server } = scene)
})

/** The latest row of each flow with this port on either end. */
async function flows(port: number): Promise<readonly Row[]> {
  await rows.flush()
  const latest = new Map(
    rows.of('udp', port).map(row => [`${row.cookie} ${row.remote} ${row.remotePort}`, row] as const),
  )
  return [...latest.values()]
}

describe.skipIf(skip !== undefined)('UDP', () => {
  it('counts datagrams and payload each way, at both ends, and who began', async () => {
    rows = await stage.rows()
    for (const [port, address, family] of [
      [7201, Net.server, 4],
      [7202, Net6.server, 6],
    ] as const) {
      await server.run(`udp s ${family}`, `bind s ${address} ${port}`)
      await client.run(`udp c ${family}`)
      for (let i = 0; i < 3; i++) {
        await client.run(`sendto c ${address} ${port} 100`)
        await server.run('reply s 40')
        await client.run('receive-one c')
      }
      await client.run(`udp d ${family}`, `connect d ${address} ${port}`, 'send d 11')
      await server.run('receive-one s', 'close s')
      const found = await flows(port)
      expect(found).toHaveLength(4)
      const at = (role: number, datagrams: number): Row | undefined =>
        found.find(r => r.role === role && r.datagramsSent + r.datagramsReceived === datagrams)
      const three = { family, flags: expect.any(Number), datagramsSent: 3, datagramsReceived: 3 }
      expect(at(Role.client, 6)).toMatchObject({
        ...three,
        bytesSent: 300,
        bytesReceived: 120,
        tgid: client.pid,
      })
      expect(at(Role.server, 6)).toMatchObject({
        ...three,
        bytesSent: 120,
        bytesReceived: 300,
        tgid: server.pid,
      })
      expect(at(Role.client, 1)).toMatchObject({ bytesSent: 11, bytesReceived: 0, remote: address })
      expect(at(Role.server, 1)).toMatchObject({ bytesSent: 0, bytesReceived: 11, local: address })
      expect(at(Role.client, 1)).toMatchObject({ comm: 'traffic', netns: stage.netns('client') })
      for (const row of found) expect(row.flags & (Flag.adopted | Flag.guessed)).toBe(0)
    }
  })

  it('keeps one flow per server for a socket that talks to two', async () => {
    rows = await stage.rows()
    await server.run('udp s 4', `bind s ${Net.server} 7203`, 'udp t 4', `bind t ${Net.server} 7204`)
    const toS = `sendto c ${Net.server} 7203 10`
    const toT = `sendto c ${Net.server} 7204 20`
    // in turns and several in a row: the socket remembers one of them at a time
    await client.run('udp c 4', toS, toT, toS, toS, toS, toT, toT)
    for (let i = 0; i < 4; i++) await server.run('receive-one s')
    for (let i = 0; i < 3; i++) await server.run('reply t 5')
    for (let i = 0; i < 3; i++) await client.run('receive-one c')
    const [one] = (await flows(7203)).filter(row => row.role === Role.client)
    const [two] = (await flows(7204)).filter(row => row.role === Role.client)
    expect(one).toMatchObject({ bytesSent: 40, datagramsSent: 4, datagramsReceived: 0, cookie: two?.cookie })
    expect(two).toMatchObject({ bytesSent: 60, datagramsSent: 3, datagramsReceived: 3, bytesReceived: 15 })
    expect((await flows(7203)).find(row => row.role === Role.server)).toMatchObject({ bytesReceived: 40 })
  })

  it('counts what the kernel segments as the datagrams that it becomes', async () => {
    rows = await stage.rows()
    await server.run('udp s 4', `bind s ${Net.server} 7205`)
    await client.run('udp c 4', `connect c ${Net.server} 7205`, 'segment c 500', 'send c 5250')
    let received = 0
    for (let i = 0; i < 11; i++) received += (await server.run('receive-one s')).result
    expect(received).toBe(5250)
    const found = await flows(7205)
    expect(found.find(r => r.role === Role.client)).toMatchObject({ datagramsSent: 11, bytesSent: 5250 })
    expect(found.find(r => r.role === Role.server)).toMatchObject({
      datagramsReceived: 11,
      bytesReceived: 5250,
    })
  })

  it('sees one flow where the host itself translates the address, connected or not', async () => {
    rows = await stage.rows()
    stage.in('client', 'nft "add table ip n; add chain ip n o { type nat hook output priority -100; }"')
    stage.in(
      'client',
      `nft 'add rule ip n o ip daddr ${Net.service} udp dport 7206 dnat to ${Net.server}:7207'`,
    )
    await server.run('udp s 4', `bind s ${Net.server} 7207`)
    await client.run('udp c 4', 'udp d 4', `connect d ${Net.service} 7206`)
    for (const send of [`sendto c ${Net.service} 7206 30`, 'send d 31']) {
      await client.run(send)
      await server.run('reply s 7')
      await client.run(`receive-one ${send.includes('sendto') ? 'c' : 'd'}`)
    }
    const found = (await flows(7206)).filter(row => row.role === Role.client)
    expect(found).toHaveLength(2)
    for (const row of found)
      expect(row).toMatchObject({
        remote: Net.service,
        datagramsSent: 1,
        datagramsReceived: 1,
        bytesReceived: 7,
      })
    expect((await flows(7207)).filter(row => row.role === Role.client)).toHaveLength(0)
  })

  it('tells who began from the ports when the sockets are older, and says so', async () => {
    await server.run('udp s 4', `bind s ${Net.server} 7208`)
    await client.run('udp c 4', `sendto c ${Net.server} 7208 10`)
    rows = await stage.rows({ files: true })
    await server.run('reply s 5')
    await client.run('receive-one c')
    const found = await flows(7208)
    expect(found).toHaveLength(2)
    expect(found.find(r => r.local === Net.server)).toMatchObject({ role: Role.server, bytesSent: 5 })
    expect(found.find(r => r.local === Net.client)).toMatchObject({ role: Role.client, bytesReceived: 5 })
    for (const row of found) expect(row.flags & Flag.adopted).not.toBe(0)
    // whose they are is known all the same, from the open files
    expect(found.find(r => r.local === Net.server)).toMatchObject({ comm: 'traffic', tgid: server.pid })
    expect(found.find(r => r.local === Net.client)).toMatchObject({ comm: 'traffic', tgid: client.pid })
  })

  it('says that a flow is over when its socket is closed, with its last counts', async () => {
    rows = await stage.rows()
    await client.run('udp c 4', `connect c ${Net.server} 7209`, 'send c 10', 'close c')
    const gone = await rows.untilRow(
      'gone',
      r => r.kind === 'udp' && r.remotePort === 7209 && (r.flags & Flag.gone) !== 0,
    )
    expect(gone).toMatchObject({ datagramsSent: 1, bytesSent: 10 })
  })

  it('passes on what name servers are asked and answer', async () => {
    rows = await stage.rows()
    await server.run('udp s 4', `bind s ${Net.server} 53`)
    await client.run('udp c 4', `sendto c ${Net.server} 53 30`)
    await server.run('reply s 600')
    await client.run('receive-one c')
    const answer = await rows.untilRow('the answer', r => r.kind === 'dns' && r.sent === 0)
    expect(answer).toMatchObject({ remote: Net.server, remotePort: 53, local: Net.client, role: Role.client })
    expect(answer.message).toBe('00'.repeat(512))
    await rows.flush()
    const [question, ...others] = rows.of('dns')
    expect(question).toMatchObject({ sent: 1, remote: Net.server, remotePort: 53, cookie: answer.cookie })
    expect(question!.message).toBe('00'.repeat(30))
    expect(others).toEqual([answer])
  })
})
