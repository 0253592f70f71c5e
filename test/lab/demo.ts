import { writeFile } from 'node:fs/promises'
import { Lab } from './lab.ts'
import { startNginx } from './nginx.ts'

/**
 * A small shop of real programs on two nodes, for a first look on an idle machine: a front and an API (nginx), images
 * over a lossy link, redis with a producer and a consumer, names by dnsmasq, a partner outside the cluster, a backup
 * run by a unit of a node, and a payment service that refuses. Costs a few per cent of one core.
 */
export interface Demo {
  readonly nodes: readonly { readonly name: string; readonly cgroupPath: string }[]
  /** What is worth looking for, one sentence each. */
  readonly notes: readonly string[]
  /** Ends its programs and removes its namespaces and cgroups. Idempotent. */
  close(): Promise<void>
}

export const demoPods = {
  a: ['front', 'dns', 'consumer', 'images'],
  b: ['api-1', 'api-2', 'redis', 'producer', 'payments'],
} as const

/** Makes the lab that the demo needs. */
export async function demoLab(): Promise<Lab> {
  await Lab.removeStale()
  return Lab.up({ id: `demo-${process.pid}`, nodes: 2, pods: demoPods })
}

interface Names {
  readonly [service: string]: string
}

/** Starts the shop, in its own lab unless one made by `demoLab` is given; resolves when every server listens. */
export async function startDemo(given?: Lab): Promise<Demo> {
  const lab = given ?? (await demoLab())
  try {
    await startShop(lab)
  } catch (error) {
    await lab.down()
    throw error
  }
  const nodes = lab.spec.nodes.map(async n => ({ name: n.name, cgroupPath: await lab.nodeCgroup(n.name) }))
  return {
    nodes: await Promise.all(nodes),
    notes: [
      'front → payments fails: nothing listens there',
      'the backup on node b loses 3 % of what images sends it, and only in that direction',
      'partner.example is outside the cluster: its name comes from a DNS answer',
    ],
    close: () => lab.down(),
  }
}

async function startShop(lab: Lab): Promise<void> {
  const names = await services(lab)
  const resolvConf = `${lab.directory}/resolv.conf`
  await writeFile(resolvConf, `nameserver ${names.dns}\nsearch shop\noptions ndots:1\n`)
  await startServers(lab, names, resolvConf)
  await lab.fault({
    on: 'a',
    from: lab.addresses('images').v4,
    to: lab.addresses('b').v4,
    packets: 'data',
    hit: { percent: 3 },
  })
  await startClients(lab, resolvConf)
}

async function services(lab: Lab): Promise<Names> {
  const plan = {
    dns: { port: 53, protocol: 'udp', endpoints: ['dns'] },
    front: { port: 80, targetPort: 8080, endpoints: ['front'], nodePort: 30080 },
    api: { port: 80, targetPort: 8080, endpoints: ['api-1', 'api-2'] },
    images: { port: 80, targetPort: 8080, endpoints: ['images'] },
    redis: { port: 6379, endpoints: ['redis'] },
    payments: { port: 80, targetPort: 8080, endpoints: ['payments'] },
  } as const
  const names: Record<string, string> = {}
  for (const [name, options] of Object.entries(plan)) names[name] = (await lab.service(name, options)).v4
  return names
}

async function startServers(lab: Lab, names: Names, resolvConf: string): Promise<void> {
  const dns = await lab.spawn('dns', dnsmasq(lab, names))
  await lab.listening(dns, 53, 'udp')
  const redis = await lab.spawn('redis', [
    'redis-server',
    '--save',
    '',
    '--protected-mode',
    'no',
    '--bind',
    '*',
  ])
  await lab.listening(redis, 6379)
  const api = 'location /orders { return 200 "{\\"orders\\":[]}"; }'
  await Promise.all([
    startNginx(lab, 'api-1', { port: 8080, server: api }),
    startNginx(lab, 'api-2', { port: 8080, server: api }),
    startNginx(lab, 'images', { port: 8080, files: { '40k': 40_000, '400k': 400_000 } }),
    startNginx(lab, 'outside', { port: 8080 }),
    startNginx(lab, 'front', { port: 8080, server: frontLocations(names.dns!), resolvConf }),
  ])
}

function dnsmasq(lab: Lab, names: Names): string[] {
  const all: Names = { ...names, 'partner.example': lab.addresses('outside').v4 }
  const records = Object.entries(all).map(([name, v4]) => {
    const full = name.includes('.') ? name : `${name}.shop`
    return `--host-record=${full},${v4},5`
  })
  const quiet = ['--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--pid-file=', '--user=root']
  return ['dnsmasq', '--keep-in-foreground', ...quiet, '--local=/shop/', '--local=/example/', ...records]
}

/** A variable in proxy_pass makes nginx ask the resolver again when the answer has expired. */
function frontLocations(dns: string): string {
  const proxy = (path: string, service: string) =>
    `location ${path} { set $target ${service}.shop; proxy_pass http://$target; }`
  return `resolver ${dns} ipv6=off valid=5s;
    ${proxy('/orders', 'api')} ${proxy('/pay', 'payments')} ${proxy('/40k', 'images')}`
}

const forever = '1000000000'

async function startClients(lab: Lab, resolvConf: string): Promise<void> {
  const at = lab.addresses('a').v4
  const shop = `http://${at}:30080`
  const visit = loop(
    0.5,
    `curl -s -o /dev/null ${shop}/orders -o /dev/null ${shop}/40k -o /dev/null ${shop}/1k`,
  )
  const pay = loop(1, `curl -s -o /dev/null ${shop}/pay`)
  const backup = loop(2, 'curl -s -o /dev/null http://images.shop/400k')
  const notify = loop(1, 'curl -s -o /dev/null http://partner.example:8080/1k')
  const redis = (seconds: number) => ['redis-cli', '-h', 'redis.shop', '-r', forever, '-i', String(seconds)]
  const quiet = { stdio: 'ignore' } as const
  await Promise.all([
    lab.spawn('outside', visit, quiet),
    lab.spawn('outside', pay, quiet),
    lab.spawn('b', backup, { ...quiet, unit: 'backup', resolvConf }),
    lab.spawn('consumer', notify, { ...quiet, resolvConf }),
    lab.spawn('producer', [...redis(0.2), 'LPUSH', 'orders', 'one'], { ...quiet, resolvConf }),
    lab.spawn('consumer', [...redis(0.25), 'RPOP', 'orders', '2'], { ...quiet, resolvConf }),
  ])
}

const loop = (seconds: number, command: string) => [
  'sh',
  '-c',
  `while :; do ${command}; sleep ${seconds}; done`,
]
