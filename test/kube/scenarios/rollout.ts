import { isDeepStrictEqual } from 'node:util'
import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import { workload } from '../edge-truth.ts'
import type { Edge, Installation } from '../installation.ts'
import { deploymentOf, namespace, peerOf, serviceOf } from '../pods/peers.ts'

const port = 8088
const name = 'rolled'

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

const sum = (edges: readonly Edge[], of: (tcp: NonNullable<Edge['tcp']>) => number) =>
  edges.reduce((total, edge) => total + of(edge.tcp!), 0)

/** A Deployment is rolled while it is called. */
export function rollout(installed: () => Installation): void {
  it('names every pod of a Deployment that is rolled under traffic, and counts what each answered', async () => {
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
    const more = async (count: number) => {
      const from = (await client.started(name)).opened
      await until('it is called', async () => (await client.started(name)).opened > from + count, {
        timeoutMs: 60_000,
        everyMs: 200,
      })
    }
    await more(100)
    await rolled('restart')
    await more(100)
    const said = await client.stop(name)

    const meant = async (groupBy: string) =>
      (await installation.topology(groupBy)).edges.filter(
        edge =>
          edge.protocol === 'tcp' && (edge.port === port || edge.via === `service/${namespace}/${name}:80`),
      )
    const ofClient = (edges: readonly Edge[]) => edges.filter(edge => edge.source === workload('client'))
    let edges: readonly Edge[] = []
    await until(
      'every connection is there',
      async () => {
        edges = await meant('workload')
        return sum(ofClient(edges), tcp => tcp.opened) === said.opened
      },
      { timeoutMs: 30_000, everyMs: 500, describe: () => JSON.stringify([said, edges]) },
    )
    const failed = Object.values(said.failed).reduce((a, b) => a + b, 0)
    expect(sum(ofClient(edges), tcp => tcp.failed)).toBe(failed)
    const opened = ofClient(edges).filter(edge => edge.tcp!.opened > 0)
    expect(opened.map(edge => [edge.target, edge.observed])).toEqual([[workload(name), 'both']])
    // those of the probes included
    for (const edge of edges) expect(`${edge.source} ${edge.target}`).not.toContain('outside/')

    const byPod = (await meant('pod')).filter(edge => edge.source.startsWith(`pod/${namespace}/client-`))
    const answered = Object.fromEntries(
      Object.entries(said.answeredBy).map(([pod, count]) => [`pod/${namespace}/${pod}`, count]),
    )
    expect(Object.keys(answered)).toHaveLength(6)
    const counts = Object.fromEntries(
      byPod.filter(edge => edge.tcp!.opened > 0).map(edge => [edge.target, edge.tcp!.opened]),
    )
    if (said.unanswered === 0) expect(counts).toEqual(answered)
    expect(isDeepStrictEqual(Object.keys(counts).sort(), Object.keys(answered).sort())).toBe(true)
  })
}
