import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { build, Net, Net6, Stage, whyNot } from '../../bpf/tests/stage.ts'
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

describe.skipIf(skip !== undefined)('names from real DNS answers', () => {
  let stage: Stage
  let observer: Observer | undefined
  let stopDns: () => Promise<void>

  beforeAll(() => build())
  beforeEach(async () => {
    stage = new Stage()
    // the name server is not in the observed group: only the asker sees the answers
    const records = [
      `--host-record=shop.example,${Net.server},${Net6.server}`,
      '--cname=www.example,shop.example',
    ]
    const quiet = ['--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--pid-file=', '--user=root']
    const argv = [
      `--net=/run/netns/${stage.space('server')}`,
      'dnsmasq',
      '--keep-in-foreground',
      ...quiet,
      ...records,
    ]
    const dns = spawn('nsenter', argv, { stdio: 'ignore' })
    stopDns = async () => {
      dns.kill('SIGTERM')
      await once(dns, 'close')
    }
    await until('the name server', () => stage.in('server', 'ss -Hlun sport = :53') !== '')
  })
  afterEach(async () => {
    await observer?.collector.close()
    await stopDns()
    await stage.close()
  })

  /** Asks from within the observed group. */
  const ask = (name: string, type: string) =>
    stage
      .in(
        'client',
        `echo $$ > ${stage.cgroup}/cgroup.procs; dig +short +timeout=3 @${Net.server} ${name} ${type}`,
      )
      .trim()
      .split('\n')

  /** What is connected to at a port, as the map shows it. */
  const nodeAt = (port: number) => {
    const nowMs = Date.now()
    const range = { fromMs: nowMs - 120_000, toMs: nowMs + 120_000, groupBy: 'process' as const, limit: 100 }
    const { nodes, edges } = observer!.core.reader.topology(range, nowMs)
    const edge = edges.find(e => e.port === port)
    return nodes.find(node => node.id === edge?.target)
  }

  it('name outside addresses, IPv4 and IPv6, by the name that was asked for', async () => {
    observer = await Observer.start(stage.cgroup)
    const outside = stage.peer('server', { outside: true })
    const client = stage.peer('client')
    expect(ask('www.example', 'A')).toEqual(['shop.example.', Net.server])
    expect(ask('shop.example', 'AAAA')).toEqual([Net6.server])
    for (const [family, address] of [
      ['4', Net.server],
      ['6', Net6.server],
    ] as const) {
      await outside.run(
        `tcp l${family} ${family}`,
        `bind l${family} ${address} 744${family}`,
        `listen l${family} 8`,
      )
      await client.run(`tcp c${family} ${family}`, `connect c${family} ${address} 744${family}`)
      await client.run(`close c${family}`)
    }
    const [v4, v6] = await until('both edges', () => {
      const found = [nodeAt(7444), nodeAt(7446)]
      return found[0] !== undefined && found[1] !== undefined ? found : undefined
    })
    expect(v4).toMatchObject({ kind: 'outside', name: 'www.example', foundBy: 'dns' })
    expect(v6).toMatchObject({ kind: 'outside', name: 'shop.example', foundBy: 'dns' })
    expect(observer.collector.status().flows).toMatchObject({ dnsMalformed: 0, dnsUnasked: 0 })
  })

  it('name nothing where nobody asked, whoever sends them from port 53', async () => {
    observer = await Observer.start(stage.cgroup)
    const { collector } = observer
    const client = stage.peer('client')
    await client.run('udp u 4', `bind u ${Net.client} 7451`)
    const forge = `const socket = require('node:dgram').createSocket('udp4')
      socket.bind(53, () => socket.send(Buffer.from('${forged}', 'hex'), 7451, '${Net.client}', () => socket.close()))`
    stage.in('router', `${process.execPath} -e "${forge}"`)
    await client.run('receive-one u')
    await until('the answer to be read', () => collector.status().flows.dnsUnasked === 1)
    const outside = stage.peer('server', { outside: true })
    await outside.run('tcp l 4', `bind l ${Net.server} 7452`, 'listen l 8')
    await client.run('tcp c 4', `connect c ${Net.server} 7452`, 'close c')
    const node = await until('the edge', () => nodeAt(7452))
    expect(node).toMatchObject({ kind: 'outside', name: Net.server })
  })
})

/** An answer as a name server gives it: payments.internal is at Net.server. */
const forged = [
  '123481800001000100000000',
  '087061796d656e747308696e7465726e616c0000010001',
  `c00c000100010000003c0004${Buffer.from(Net.server.split('.').map(Number)).toString('hex')}`,
].join('')
