import { rm, writeFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import { listsOf, requestsOf } from '../audit.ts'
import { nodes, staticPodDirectory } from '../cluster/names.ts'
import { bothEnds, expectEdges, workload } from '../edge-truth.ts'
import type { Edge, Installation, WatchCounts } from '../installation.ts'
import { type Peer, peerAt, peerOf, podOf } from '../pods/peers.ts'

const node = nodes[1]!
const ports = { early: 8091, late: 8092, control: 9902 }
const manifest = `${staticPodDirectory(node)}/late.json`
const awayMs = 60_000

export function apiServer(installed: () => Installation): void {
  it('asks the API server for each list once, and only watches from then on', async () => {
    const { kubernetes } = await installed().status()
    expect(kubernetes.synced).toBe(true)
    expect(kubernetes.resources.map(({ watching }) => watching)).toEqual(kubernetes.resources.map(() => true))
    const lists = await listsOf('skybraid-aggregator')
    expect([...lists.values()]).toEqual(kubernetes.resources.map(() => 1))
    const events = await requestsOf('skybraid-aggregator')
    // a watch that goes on is not in the log yet
    expect([...new Set(events.map(event => event.verb))].filter(verb => verb !== 'watch')).toEqual(['list'])
  })

  it('keeps its names while the API server is away for a minute, and learns the missed ones afterwards', async () => {
    const installation = installed()
    const { cluster } = installation
    const [client, server] = await Promise.all([peerOf(cluster, 'client'), peerOf(cluster, 'server')])
    const before = await listsOf('skybraid-aggregator')
    await cluster.stopApiServer()
    const late = await startWithoutApi()

    const known = await client.run({ host: server.address, port: ports.early, count: 5 })
    const unknown = await late.run({ host: server.address, port: ports.late, count: 8 })
    await expectEdges(installation, edge => edge.port === ports.early, [
      bothEnds({ source: workload('client'), target: workload('server'), port: ports.early }, known),
    ])
    let unnamed: readonly Edge[] = []
    await until(
      'both ends told of what has no name yet',
      async () => {
        unnamed = (await installation.topology()).edges.filter(edge => edge.port === ports.late)
        return unnamed[0]?.observed === 'both' && unnamed[0].tcp!.opened === unknown.opened
      },
      { timeoutMs: 30_000, everyMs: 500, describe: () => JSON.stringify(unnamed) },
    )
    expect(unnamed.map(edge => edge.target)).toEqual([workload('server')])
    expect(unnamed[0]!.source).not.toContain('late')

    await until(
      'the API server has been away for a minute, and /status says so',
      async () => (await installation.status()).kubernetes.ageMs >= awayMs,
      { timeoutMs: awayMs + 30_000, everyMs: 1_000 },
    )
    expect((await installation.status()).kubernetes.resources.filter(r => r.watching)).toEqual([])
    await cluster.startApiServer()
    await expectEdges(
      installation,
      edge => edge.port === ports.late,
      [
        bothEnds(
          { source: workload('late', 'StaticPod'), target: workload('server'), port: ports.late },
          unknown,
        ),
      ],
      90_000,
    )
    await expectWatching(installation, before)
    await rm(manifest)
    await cluster.kubectl('wait', '--for=condition=Ready', 'node', '--all', '--timeout=60s')
  })
}

/** A pod that its kubelet starts by itself: nobody but the kubelet knows of it while the API server is away. */
async function startWithoutApi(): Promise<Peer> {
  const pod = podOf({ name: 'late', node: node.name, control: ports.control, hostNetwork: true })
  await writeFile(manifest, JSON.stringify(pod))
  const late = peerAt(node.address, ports.control)
  await until(
    'the static pod answers',
    () =>
      late.accepted().then(
        () => true,
        () => false,
      ),
    // a kubelet looks at its folder every twenty seconds at the latest
    { timeoutMs: 90_000, everyMs: 200 },
  )
  return late
}

/** Every watch goes on from where it was, or lists once, where the new server no longer knows the place. */
async function expectWatching(
  installation: Installation,
  before: ReadonlyMap<string, number>,
): Promise<void> {
  let now: readonly WatchCounts[] = []
  await until(
    'everything is watched again',
    async () => {
      now = (await installation.status()).kubernetes.resources
      return now.every(resource => resource.watching)
    },
    { timeoutMs: 120_000, everyMs: 500, describe: () => JSON.stringify(now) },
  )
  for (const [resource, lists] of await listsOf('skybraid-aggregator'))
    expect(lists - before.get(resource)!, resource).toBeLessThanOrEqual(1)
}
