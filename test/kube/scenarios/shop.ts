import { isDeepStrictEqual } from 'node:util'
import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Installation } from '../installation.ts'

type Figures = Readonly<Record<string, number>>

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly status: {
    readonly podIP?: string
    readonly containerStatuses?: readonly { readonly ready: boolean }[]
  }
}

const space = ['-n', 'skybraid']
/** What programs did comes well within a second where a machine is not very busy. */
const quietMs = 3_000
const servers = ['front', 'catalog', 'orders']

async function podsOf(cluster: Cluster, role: string): Promise<readonly Pod[]> {
  const selector = `app.kubernetes.io/component=demo-${role}`
  return (await cluster.get<{ items: readonly Pod[] }>('pods', ...space, '-l', selector)).items
}

/** What the programs of a role say, all its pods together; from lines that they wrote after a time. */
async function saidAfter(cluster: Cluster, role: string, afterMs: number): Promise<Figures> {
  const pods = await podsOf(cluster, role)
  const all = await Promise.all(
    pods.map(({ metadata }) =>
      until(
        `${metadata.name} says what it counted`,
        async () => {
          const text = await cluster.kubectl(...space, 'logs', metadata.name, '--timestamps', '--tail=1')
          const at = text.indexOf(' ')
          return Date.parse(text.slice(0, at)) > afterMs && (JSON.parse(text.slice(at)) as Figures)
        },
        { timeoutMs: 30_000, everyMs: 500 },
      ),
    ),
  )
  return all.reduce(plus)
}

function combine(a: Figures, b: Figures, how: (x: number, y: number) => number): Figures {
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(key => key !== 'role')
  return Object.fromEntries(keys.map(key => [key, how(a[key] ?? 0, b[key] ?? 0)]))
}
const plus = (a: Figures, b: Figures) => combine(a, b, (x, y) => x + y)
const minus = (a: Figures, b: Figures) => combine(a, b, (x, y) => x - y)

/** Connections, refused dials and bytes between the shop's programs as the API has them. */
async function seen(installation: Installation): Promise<{ figures: Figures; isQuiet: boolean }> {
  const { edges } = await installation.topology()
  const figures: Record<string, number> = {}
  let isQuiet = true
  for (const { source, target, tcp } of edges) {
    const from = source.split('/').at(-1)!
    const to = target.split('/').at(-1)!
    const isShop = source.startsWith('workload/skybraid/Deployment/') && !to.startsWith('skybraid')
    if (!isShop || tcp === undefined) continue
    if (tcp.openNow > 0) isQuiet = false
    const name = `${from} → ${to}`
    const add = (what: string, amount: number) => {
      if (amount > 0) figures[`${name} ${what}`] = (figures[`${name} ${what}`] ?? 0) + amount
    }
    add('opened', tcp.opened)
    add('refused', tcp.failures.refused)
    add('sent', tcp.client?.bytesSent ?? 0)
    add('received', tcp.client?.bytesReceived ?? 0)
    add('sent, at the server', tcp.server?.bytesReceived ?? 0)
    add('received, at the server', tcp.server?.bytesSent ?? 0)
  }
  return { figures, isQuiet }
}

/** No customers, and every connection between the shop's programs is closed and known to be. */
async function quiet(installation: Installation): Promise<void> {
  const { cluster } = installation
  await cluster.kubectl(...space, 'scale', 'deployment/customers', '--replicas=0')
  await until('no customer is left', async () => (await podsOf(cluster, 'customers')).length === 0, {
    timeoutMs: 60_000,
    everyMs: 500,
  })
  let last = ''
  let sinceMs = Date.now()
  await until(
    'every connection of the shop is closed, and nothing comes after that',
    async () => {
      const now = await seen(installation)
      const text = JSON.stringify(now)
      if (text !== last) sinceMs = Date.now()
      last = text
      return now.isQuiet && Date.now() - sinceMs > quietMs
    },
    { timeoutMs: 60_000, everyMs: 500, describe: () => last },
  )
}

/** What the programs said they did meanwhile, in the words of `seen`. */
function truth(customers: Figures, front: Figures, orders: Figures): Figures {
  const calls = (from: string, to: string, said: Figures): Figures => ({
    [`${from} → ${to} opened`]: said[`opened ${to}`]!,
    [`${from} → ${to} sent`]: said[`sent ${to}`]!,
    [`${from} → ${to} received`]: said[`received ${to}`]!,
    [`${from} → ${to} sent, at the server`]: said[`sent ${to}`]!,
    [`${from} → ${to} received, at the server`]: said[`received ${to}`]!,
  })
  return {
    'customers → front opened': customers['opened front']!,
    ...calls('front', 'catalog', front),
    ...calls('front', 'orders', front),
    ...calls('orders', 'catalog', orders),
    'orders → payments refused': orders['failed payments ECONNREFUSED']!,
  }
}

/** The bytes of a customer that is ended in the midst of its calls are its own secret. */
const comparable = (figures: Figures) =>
  Object.fromEntries(Object.entries(figures).filter(([name]) => !/^customers.*(sent|received)/.test(name)))

async function figuresOfServers(cluster: Cluster): Promise<Record<string, Figures>> {
  const now = Date.now()
  const said = servers.map(async role => [role, await saidAfter(cluster, role, now)] as const)
  return Object.fromEntries(await Promise.all(said))
}

/** The demo shop, from quiet to quiet: what its programs wrote down is what the topology shows. */
export function shopCounts(installed: () => Installation): void {
  it('counts the connections and bytes of the shop as its programs do', async () => {
    const installation = installed()
    const { cluster } = installation
    await quiet(installation)
    const [saidBefore, before] = await Promise.all([figuresOfServers(cluster), seen(installation)])

    await cluster.kubectl(...space, 'scale', 'deployment/customers', '--replicas=1')
    await cluster.kubectl(...space, 'rollout', 'status', 'deployment/customers', '--timeout=60s')
    const [pod] = await podsOf(cluster, 'customers')
    const log = cluster.kubectl(...space, 'logs', '-f', pod!.metadata.name)
    await until(
      'the shop was called often',
      async () => {
        const { figures } = minusSeen(await seen(installation), before)
        return figures['orders → payments refused']! > 150
      },
      { timeoutMs: 60_000, everyMs: 500 },
    )
    await quiet(installation)
    const customers = JSON.parse((await log).trim().split('\n').at(-1)!) as Figures
    const saidAfterwards = await figuresOfServers(cluster)

    const expected = truth(
      customers,
      minus(saidAfterwards.front!, saidBefore.front!),
      minus(saidAfterwards.orders!, saidBefore.orders!),
    )
    let figures: Figures = {}
    await until(
      'the figures agree',
      async () => {
        figures = comparable(minusSeen(await seen(installation), before).figures)
        return isDeepStrictEqual(nonZero(figures), expected)
      },
      { timeoutMs: 30_000, everyMs: 500 },
    ).catch(() => expect(nonZero(figures)).toEqual(expected))
    const accepted = minus(saidAfterwards.front!, saidBefore.front!)[`accepted ${pod!.status.podIP}`]
    expect(accepted).toBe(customers['opened front'])
    expect(customers['opened front']).toBeGreaterThan(0)
  })
}

type Seen = Awaited<ReturnType<typeof seen>>
const minusSeen = (after: Seen, before: Seen) => ({ figures: minus(after.figures, before.figures) })
const nonZero = (figures: Figures) => Object.fromEntries(Object.entries(figures).filter(([, n]) => n !== 0))
