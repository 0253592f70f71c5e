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

  it('name outside addresses, IPv4 and IPv6, by the name that was asked for', async () => {
    observer = await Observer.start(stage.cgroup)
    const { core } = observer
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
    const nowMs = Date.now()
    const names = () => {
      const range = {
        fromMs: nowMs - 120_000,
        toMs: nowMs + 120_000,
        groupBy: 'process' as const,
        limit: 100,
      }
      const { nodes, edges } = core.reader.topology(range, Date.now())
      const byPort = (port: number) => {
        const edge = edges.find(e => e.port === port)
        return nodes.find(node => node.id === edge?.target)
      }
      return [byPort(7444), byPort(7446)]
    }
    const [v4, v6] = await until('both edges', () => {
      const found = names()
      return found[0] !== undefined && found[1] !== undefined ? found : undefined
    })
    expect(v4).toMatchObject({ kind: 'outside', name: 'www.example', foundBy: 'dns' })
    expect(v6).toMatchObject({ kind: 'outside', name: 'shop.example', foundBy: 'dns' })
    expect(observer.collector.status().flows.dnsMalformed).toBe(0)
  })
})
