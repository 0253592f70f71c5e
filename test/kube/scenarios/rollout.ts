import { isDeepStrictEqual } from 'node:util'
import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import { workload } from '../edge-truth.ts'
import type { Edge, Installation } from '../installation.ts'
import { type Dialled, deploymentOf, namespace, type Peer, peerOf, serviceOf } from '../pods/peers.ts'

const port = 8088
/** The same pods, on ports of their own for what is dialled while none comes or goes: 81 to 83 of the service. */
const still = { before: 8098, after: 8099, first: 8100 }
const name = 'rolled'
const service = `service/${namespace}/${name}`

const manifests = () => {
  const deployment = deploymentOf({ name, listen: [port, ...Object.values(still)] })
  const [container] = deployment.spec.template.spec.containers
  const readinessProbe = { tcpSocket: { port }, periodSeconds: 1 }
  const template = {
    ...deployment.spec.template,
    spec: { ...deployment.spec.template.spec, containers: [{ ...container, readinessProbe }] },
  }
  return [
    { ...deployment, spec: { ...deployment.spec, replicas: 3, template } },
    serviceOf(name, name, {
      ports: [port, ...Object.values(still)].map((targetPort, i) => ({
        name: `p${i}`,
        port: 80 + i,
        targetPort,
      })),
    }),
  ]
}

/** A dial that no pod answered is the service's: nobody else told of it. */
const isMeant = ({ protocol, port: at, via, target }: Edge) =>
  protocol === 'tcp' && (at === port || via === `${service}:80` || (target === service && at === 80))

const sum = (edges: readonly Edge[], of: (tcp: NonNullable<Edge['tcp']>) => number) =>
  edges.reduce((total, edge) => total + of(edge.tcp!), 0)

const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0)

/** What the topology says otherwise than the client's program, with all that was dialled in it; empty once they agree. */
async function differences(installation: Installation, said: Dialled): Promise<readonly string[]> {
  const all = async (groupBy: string) => (await installation.topology(groupBy)).edges.filter(isMeant)
  const [byWorkload, byPod] = await Promise.all([all('workload'), all('pod')])
  const fromClient = byWorkload.filter(edge => edge.source === workload('client'))
  const opened = sum(fromClient, tcp => tcp.opened)
  const reached = sum(
    fromClient.filter(edge => edge.target === workload(name) && edge.observed === 'both'),
    tcp => tcp.opened,
  )
  const counts = Object.fromEntries(
    byPod
      .filter(edge => edge.source.startsWith(`pod/${namespace}/client-`) && edge.target.startsWith('pod/'))
      .filter(edge => edge.tcp!.opened > 0)
      .map(edge => [edge.target, edge.tcp!.opened]),
  )
  const answered = Object.entries(said.answeredBy).map(
    ([pod, count]) => [`pod/${namespace}/${pod}`, count] as const,
  )
  return [
    ['opened', opened === said.opened],
    ['failed', sum(fromClient, tcp => tcp.failed) === total(said.failed)],
    // a pod that ends may break one that it has not accepted yet
    ['reached', opened - reached <= said.unanswered],
    ['pods', isDeepStrictEqual(Object.keys(counts).sort(), answered.map(([pod]) => pod).sort())],
    ['each pod', answered.every(([pod, count]) => counts[pod]! >= count) && total(counts) === reached],
    // those of the probes included
    ['names', byWorkload.every(edge => !`${edge.source} ${edge.target}`.includes('outside/'))],
  ].flatMap(([what, agrees]) => (agrees ? [] : [`${what}: ${JSON.stringify({ said, byWorkload, counts })}`]))
}

/** The proxy of the client's node knows of the service. */
const reachable = (client: Peer, host: string) =>
  until('the service is reached', async () => (await client.run({ host, port: 83, count: 1 })).opened === 1, {
    everyMs: 500,
  })

/** Those that were replaced are gone. */
const onlyThree = ({ cluster }: Installation) =>
  until(
    'three pods are left',
    async () => {
      const { items } = await cluster.get<{ items: readonly object[] }>(
        'pods',
        '-n',
        namespace,
        '-l',
        `app=${name}`,
      )
      return items.length === 3
    },
    { everyMs: 500 },
  )

/** Dials the service while no pod comes or goes: each connection is at the pod that answered it. */
async function expectStill(
  installation: Installation,
  client: Peer,
  dialled: { readonly host: string; readonly port: number },
  servedAt: number,
): Promise<readonly string[]> {
  const { answeredBy } = await client.run({ ...dialled, count: 30 })
  const expected = Object.fromEntries(
    Object.entries(answeredBy).map(([pod, opened]) => [`pod/${namespace}/${pod}`, opened]),
  )
  let seen = {}
  await until(
    'each connection is at the pod that answered it',
    async () => {
      const { edges } = await installation.topology('pod')
      const meant = edges.filter(edge => edge.port === servedAt && edge.source.includes('/client-'))
      seen = Object.fromEntries(meant.map(edge => [edge.target, edge.tcp!.opened]))
      return isDeepStrictEqual(seen, expected)
    },
    { timeoutMs: 30_000, everyMs: 500 },
  ).catch(() => expect(seen).toEqual(expected))
  return Object.keys(expected)
}

/** A Deployment is rolled, and then scaled to nothing, while it is called. */
export function rollout(installed: () => Installation): void {
  it('names every pod of a Deployment that is rolled under traffic, counts what each answered, and what nobody did', async () => {
    const installation = installed()
    const { cluster } = installation
    const rolled = async (...args: string[]) => {
      if (args.length > 0) await cluster.kubectl('-n', namespace, 'rollout', ...args, `deployment/${name}`)
      await cluster.kubectl('-n', namespace, 'rollout', 'status', `deployment/${name}`, '--timeout=90s')
    }
    await cluster.apply(manifests())
    await rolled()
    const client = await peerOf(cluster, 'client')
    const { spec } = await cluster.get<{ spec: { clusterIP: string } }>('service', '-n', namespace, name)
    const host = spec.clusterIP
    await reachable(client, host)
    const before = await expectStill(installation, client, { host, port: 81 }, still.before)
    await client.start({ name, host, port: 80, every: 20 })
    const more = async (count: number, of: (said: Dialled) => number) => {
      const from = of(await client.started(name))
      await until('it is called', async () => of(await client.started(name)) > from + count, {
        timeoutMs: 60_000,
        everyMs: 200,
        describe: async () => JSON.stringify(await client.started(name)),
      })
    }
    await more(100, said => said.opened)
    await rolled('restart')
    await more(100, said => said.opened)
    await onlyThree(installation)
    const after = await expectStill(installation, client, { host, port: 82 }, still.after)
    expect(before.filter(pod => after.includes(pod))).toEqual([])
    await cluster.kubectl('-n', namespace, 'scale', `deployment/${name}`, '--replicas=0')
    await more(20, said => total(said.failed))
    const said = await client.stop(name)

    expect(Object.keys(said.answeredBy)).toHaveLength(6)
    let found: readonly string[] = []
    await until(
      'the topology agrees with the program',
      async () => {
        found = await differences(installation, said)
        return found.length === 0
      },
      { timeoutMs: 30_000, everyMs: 500 },
    ).catch(() => expect(found).toEqual([]))
  })
}
