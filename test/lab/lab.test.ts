import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lab } from './lab.ts'
import { netnsPrefix } from './names.ts'
import { namespacesWith } from './namespaces.ts'
import { startNginx } from './nginx.ts'
import { program } from './program.ts'
import { addTapLink } from './tap-link.ts'
import { startCapture } from './truth/capture.ts'
import { conntrack } from './truth/conntrack.ts'
import { counted, namespaceCounters } from './truth/namespace-counters.ts'
import { nginxTotals } from './truth/nginx-log.ts'
import { tcpSockets } from './truth/sockets.ts'
import { until } from './until.ts'
import { whyNoLab } from './why-no-lab.ts'

const missing = whyNoLab()

/** Dials and returns what the client counted. */
async function dial(
  lab: Lab,
  from: string,
  to: string,
  port: number,
  steps: string[],
  options: string[] = [],
) {
  const peer = await program('peer')
  const end = await lab.exec(from, [peer, 'dial', to, String(port), ...options, '--', ...steps])
  return JSON.parse(end.stdout.trim().split('\n').at(-1)!) as Record<string, number | string>
}

async function listen(lab: Lab, target: string, port: number, steps: string[], options: string[] = []) {
  const child = await lab.spawn(target, [
    await program('peer'),
    'listen',
    String(port),
    ...options,
    '--',
    ...steps,
  ])
  return lab.listening(child, port)
}

describe.skipIf(missing !== '')(`lab ${missing}`, () => {
  let lab: Lab
  beforeAll(async () => {
    await Lab.removeStale()
    lab = await Lab.up({ nodes: 3, pods: 2, hostPods: { a: ['host-a'] }, cgroupDriver: { b: 'cgroupfs' } })
  })
  afterAll(() => lab?.down())

  it('puts a process in its pod: cgroup, namespace, and still sees the cgroup mount', async () => {
    const pod = lab.pod('a1')
    const { stdout } = await lab.exec('a1', [
      'sh',
      '-c',
      'tail -1 /proc/self/cgroup; readlink /proc/self/ns/net',
    ])
    const uid = pod.uid.replaceAll('-', '_')
    expect(stdout).toContain(`/a/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid}.slice/`)
    expect(stdout).toContain(`cri-containerd-${pod.containerId}.scope`)
    expect(stdout).not.toContain(await readFile('/proc/self/ns/net', 'utf8').catch(() => 'net:[0]'))
    const other = await lab.exec('b1', ['tail', '-1', '/proc/self/cgroup'])
    expect(other.stdout).toContain(
      `/b/kubepods/burstable/pod${lab.pod('b1').uid}/${lab.pod('b1').containerId}`,
    )
  })

  it('reaches every pod, node and the outside over both families', async () => {
    for (const target of ['a2', 'b1', 'c2', 'b', 'outside'])
      for (const address of Object.values(lab.addresses(target)))
        await lab.exec('a1', ['ping', '-c', '1', '-W', '2', address])
  })

  it('spreads a service over its endpoints, both families, from pods, host and the outside by node port', async () => {
    const servers = [await startNginx(lab, 'b1', { port: 8080 }), await startNginx(lab, 'b2', { port: 8080 })]
    const web = await lab.service('web', {
      port: 80,
      targetPort: 8080,
      endpoints: ['b1', 'b2'],
      nodePort: 30080,
    })
    const urls = [`http://${web.v4}/1k`, `http://[${web.v6}]/1k`]
    for (const from of ['a1', 'host-a', 'b1'])
      for (const url of urls)
        for (let i = 0; i < 4; i++) await lab.exec(from, ['curl', '-sfo', '/dev/null', url])
    for (const node of ['a', 'b', 'c']) {
      const { v4, v6 } = lab.addresses(node)
      for (const host of [v4, `[${v6}]`])
        await lab.exec('outside', ['curl', '-sfo', '/dev/null', `http://${host}:30080/1k`])
    }
    const requests = (await Promise.all(servers.map(s => s.requests()))).flat()
    expect(nginxTotals(requests)).toMatchObject({ requests: 30, connections: expect.any(Number) })
    expect(requests.every(r => r.status === 200)).toBe(true)
    // without masquerade the server sees the client itself; by node port it sees a node
    expect(requests.some(r => r.remote === lab.addresses('a1').v4)).toBe(true)
    expect(requests.some(r => r.remote === lab.addresses('c').v4)).toBe(true)
    // a pod that reached itself came from its gateway
    expect(requests.some(r => r.remote === '10.244.2.1' || r.remote === '10.244.2.10')).toBe(true)
    const tracked = (await conntrack(lab, 'a')).filter(e => e.original.destination === web.v4)
    expect(tracked.length).toBe(8)
    expect(tracked.every(e => e.original.bytes > 0 && e.reply.source.startsWith('10.244.2.'))).toBe(true)
    await Promise.all(servers.map(s => s.stop()))
  })

  it('refuses a service without endpoints at once', async () => {
    const none = await lab.service('none', { port: 81, endpoints: [] })
    expect(await dial(lab, 'a1', none.v4, 81, [])).toMatchObject({ failed: 1, lastError: 'ECONNREFUSED' })
    expect(await dial(lab, 'a1', none.v6, 81, [])).toMatchObject({ failed: 1, lastError: 'ECONNREFUSED' })
  })

  it('drops segments on one way only and counts them; the sender sends each again', async () => {
    await lab.offload('a1', 'off')
    const server = await listen(lab, 'b1', 7000, ['recv'])
    const { v4 } = lab.addresses('b1')
    const before = await namespaceCounters(lab, 'a1')
    const fault = await lab.fault({ on: 'b', to: v4, toPort: 7000, packets: 'data', hit: { every: 50 } })
    const client = await dial(lab, 'a1', v4, 7000, ['send:3000000', 'fin'])
    expect(client).toMatchObject({ opened: 1, failed: 0, sent: 3_000_000 })
    await until('server read everything', () => server.stdout.includes('"received":3000000'))
    const { packets } = await fault.hits()
    expect(packets).toBeGreaterThan(30)
    const { TcpRetransSegs, TcpActiveOpens } = counted(before, await namespaceCounters(lab, 'a1'))
    expect(TcpActiveOpens).toBe(1)
    expect(TcpRetransSegs).toBeGreaterThanOrEqual(packets)
    await fault.remove()
    await server.stop()
    await lab.offload('a1', 'on')
  })

  it('loses the first SYN-ACK only; black-holes and answers by ICMP or reset', async () => {
    const server = await listen(lab, 'b1', 7001, ['recv'])
    const { v4 } = lab.addresses('b1')
    const lost = await lab.fault({ on: 'b', from: v4, fromPort: 7001, packets: 'synAck', hit: { first: 1 } })
    expect(await dial(lab, 'a1', v4, 7001, ['fin'])).toMatchObject({ opened: 1 })
    expect((await lost.hits()).packets).toBe(1)
    const reset = await lab.fault({ on: 'b', to: v4, toPort: 7002, answer: 'tcpReset' })
    expect(await dial(lab, 'a1', v4, 7002, [])).toMatchObject({ lastError: 'ECONNREFUSED' })
    expect((await reset.hits()).packets).toBe(1)
    expect(await dial(lab, 'a1', '10.250.0.1', 80, [])).toMatchObject({ lastError: 'EHOSTUNREACH' })
    expect(await dial(lab, 'a1', 'fd50::1', 80, [])).toMatchObject({ lastError: 'ENETUNREACH' })
    await lost.remove()
    await reset.remove()
    await server.stop()
  })

  it('hands merged segments over a tap link whole', async () => {
    const link = await addTapLink(lab, ['a1', 'b1'])
    const server = await listen(lab, 'b1', 7003, ['recv:2000000', 'say:all', 'wait'])
    const client = await lab.spawn('a1', [
      await program('peer'),
      ...['dial', link.second.v4, '7003', '--', 'send:2000000', 'say:all', 'wait'],
    ])
    await until('all received', () => server.stdout.includes('"said":"all"'))
    const sent = (await tcpSockets(lab, 'a1')).find(s => s.remotePort === 7003)!
    const received = (await tcpSockets(lab, 'b1')).find(s => s.localPort === 7003 && s.state === 'ESTAB')!
    expect(received.bytesReceived).toBe(2_000_000)
    expect(sent.dataSegmentsOut).toBeGreaterThan(1_000)
    expect(received.dataSegmentsIn).toBeLessThan(sent.dataSegmentsOut / 4)
    await client.stop()
    await server.stop()
    await link.process.stop()
  })

  it('gives the address of a removed pod to the next, and captures what passes', async () => {
    const pod = lab.pod('c1')
    const { v4 } = lab.addresses('c1')
    await lab.exec('a1', ['ping', '-c', '1', '-W', '2', v4])
    await lab.removePod('c1')
    await lab.addPod('c', 'c1-next', { hostNumber: pod.hostNumber })
    expect(lab.addresses('c1-next').v4).toBe(v4)
    const server = await listen(lab, 'c1-next', 7004, ['recv'])
    const capture = await startCapture(lab, 'a1', 'eth0', 'tcp port 7004')
    await dial(lab, 'a1', v4, 7004, ['send:500', 'fin'])
    await until('server done', () => server.stdout.includes('"received":500'))
    const flows = await capture.stop()
    expect(flows.find(f => f.to === `${v4}:7004`)).toMatchObject({
      payloadBytes: 500,
      syns: 1,
      fins: 1,
      resets: 0,
    })
    await server.stop()
  })

  it('kills what runs and leaves nothing', async () => {
    const other = await Lab.up({ nodes: 2, pods: 1 })
    const child = await other.spawn('a1', ['sleep', '1000'])
    await (await Lab.attach(other.id)).down()
    expect((await child.ended).signal).toBe('SIGKILL')
    expect(await namespacesWith(netnsPrefix(other.id))).toEqual([])
    await expect(readFile(`${other.directory}/lab.json`)).rejects.toThrow('ENOENT')
    await other.down()
    await expect(Lab.attach(other.id)).rejects.toThrow('no lab')
  })
})
