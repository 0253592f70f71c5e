import { isDeepStrictEqual } from 'node:util'
import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import { workload } from '../edge-truth.ts'
import type { Edge, Installation } from '../installation.ts'
import { type Dialled, deploymentOf, namespace, peerOf, serviceOf } from '../pods/peers.ts'

const port = 8088
const name = 'rolled'
const service = `service/${namespace}/${name}`

const manifests = () => {
  const deployment = deploymentOf({ name, listen: [port] })
  const [container] = deployment.spec.template.spec.containers
  const readinessProbe = { tcpSocket: { port }, periodSeconds: 1 }
  const template = {
    ...deployment.spec.template,
    spec: { ...deployment.spec.template.spec, containers: [{ ...container, readinessProbe }] },
  }
  return [
    { ...deployment, spec: { ...deployment.spec, replicas: 3, template } },
    serviceOf(name, name, { ports: [{ port: 80, targetPort: port }] }),
  ]
}

/** A dial that no pod answered is the service's: nobody else told of it. */
const isMeant = ({ protocol, port: at, via, target }: Edge) =>
  protocol === 'tcp' && (at === port || via === `${service}:80` || target === service)

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
    await client.start({ name, host: spec.clusterIP, port: 80, every: 20 })
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
