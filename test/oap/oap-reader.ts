import type { Oap } from './oap.ts'

/** One thing that OAP has figures of; the text is how truth names it. */
export interface OapEntity {
  /** Service, `service | instance`, `a > b`, or `a | i > b | j`. */
  readonly text: string
  readonly prefix: string
  readonly query: Readonly<Record<string, string | boolean>>
}

export interface OapCall {
  readonly call: string
  readonly detectedBy: readonly string[]
  readonly sourceComponents: readonly string[]
  readonly targetComponents: readonly string[]
}

interface Topology {
  readonly nodes: readonly { id: string; name: string; layers: readonly string[] }[]
  readonly calls: readonly {
    source: string
    target: string
    detectPoints: readonly string[]
    sourceComponents: readonly string[]
    targetComponents: readonly string[]
  }[]
}

const perQuery = 40

/** What a user of OAP sees, asked through GraphQL. */
export class OapReader {
  readonly #oap: Pick<Oap, 'graphql'>
  #metrics: readonly string[] | undefined

  constructor(oap: Pick<Oap, 'graphql'>) {
    this.#oap = oap
  }

  /** Names of the metrics that the server's rules define. */
  async metrics(): Promise<readonly string[]> {
    this.#metrics ??= (
      await this.#oap.graphql<{ listMetrics: { name: string }[] }>(
        '{ listMetrics(regex: "kubernetes_.*") { name } }',
      )
    ).listMetrics.map(({ name }) => name)
    return this.#metrics
  }

  async services(): Promise<string[]> {
    const { listServices } = await this.#oap.graphql<{ listServices: { name: string }[] }>(
      '{ listServices(layer: "K8S_SERVICE") { name } }',
    )
    return listServices.map(({ name }) => name).sort()
  }

  async topology(
    fromMinute: number,
    toMinute: number,
  ): Promise<{ nodes: string[]; calls: OapCall[]; topology: Topology }> {
    const { getGlobalTopology: topology } = await this.#oap.graphql<{ getGlobalTopology: Topology }>(
      `query($d: Duration!) { getGlobalTopology(duration: $d, layer: "K8S_SERVICE") {
        nodes { id name layers } calls { source target detectPoints sourceComponents targetComponents } } }`,
      { d: durationOf(fromMinute, toMinute) },
    )
    const nameOf = new Map(topology.nodes.map(({ id, name }) => [id, name]))
    const calls = topology.calls.map(({ source, target, detectPoints, ...components }) => ({
      call: `${nameOf.get(source)} > ${nameOf.get(target)}`,
      detectedBy: [...detectPoints].sort(),
      ...components,
    }))
    calls.sort((a, b) => (a.call < b.call ? -1 : 1))
    return { nodes: topology.nodes.map(({ name }) => name).sort(), calls, topology }
  }

  async instances(service: string, fromMinute: number, toMinute: number): Promise<string[]> {
    const { listInstances } = await this.#oap.graphql<{ listInstances: { name: string }[] }>(
      'query($s: ID!, $d: Duration!) { listInstances(serviceId: $s, duration: $d) { name } }',
      { s: serviceId(service), d: durationOf(fromMinute, toMinute) },
    )
    return listInstances.map(({ name }) => name).sort()
  }

  async endpoints(service: string): Promise<string[]> {
    const { findEndpoint } = await this.#oap.graphql<{ findEndpoint: { name: string }[] }>(
      'query($s: ID!) { findEndpoint(serviceId: $s, keyword: "", limit: 100) { name } }',
      { s: serviceId(service) },
    )
    return findEndpoint.map(({ name }) => name).sort()
  }

  async instanceCalls(
    client: string,
    server: string,
    fromMinute: number,
    toMinute: number,
  ): Promise<OapCall[]> {
    const { getServiceInstanceTopology: topology } = await this.#oap.graphql<{
      getServiceInstanceTopology: { nodes: { id: string; name: string; serviceName: string }[] } & Topology
    }>(
      `query($c: ID!, $s: ID!, $d: Duration!) {
        getServiceInstanceTopology(clientServiceId: $c, serverServiceId: $s, duration: $d) {
          nodes { id name serviceName } calls { source target detectPoints sourceComponents targetComponents } } }`,
      { c: serviceId(client), s: serviceId(server), d: durationOf(fromMinute, toMinute) },
    )
    const nameOf = new Map(topology.nodes.map(n => [n.id, `${n.serviceName} | ${n.name}`]))
    return topology.calls.map(({ source, target, detectPoints, ...components }) => ({
      call: `${nameOf.get(source)} > ${nameOf.get(target)}`,
      detectedBy: [...detectPoints].sort(),
      ...components,
    }))
  }

  /** Every series of an entity: `metric @ entity @ minute` → value, where it is not 0. */
  async series(entity: OapEntity, fromMinute: number, toMinute: number): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    const own = (await this.metrics()).filter(name => prefixOf(name) === entity.prefix)
    for (let first = 0; first < own.length; first += perQuery) {
      const part = own.slice(first, first + perQuery)
      const fields = part.map(
        (name, i) =>
          `m${i}: execExpression(expression: "${name}", entity: $e, duration: $d) { error results { values { id value } } }`,
      )
      const answer = await this.#oap.graphql<Record<string, Answer>>(
        `query($e: Entity!, $d: Duration!) { ${fields.join('\n')} }`,
        { e: entity.query, d: durationOf(fromMinute, toMinute) },
      )
      for (const [i, name] of part.entries()) {
        const { error, results } = answer[`m${i}`]!
        if (error) throw new Error(`${name}: ${error}`)
        for (const { id, value } of results.flatMap(({ values }) => values))
          if (value !== null && Number(value) !== 0)
            found.set(`${name} @ ${entity.text} @ ${Math.floor(Number(id) / 60_000)}`, Number(value))
      }
    }
    return found
  }
}

interface Answer {
  readonly error: string | null
  readonly results: readonly { readonly values: readonly { id: string; value: string | null }[] }[]
}

/** From the name of an entity as truth has it. */
export function oapEntity(text: string): OapEntity {
  const [from, to] = text.split(' > ').map(end => end.split(' | '))
  const isRelation = to !== undefined
  const isInstance = from![1] !== undefined
  return {
    text,
    prefix: `kubernetes_service_${isInstance ? 'instance_' : ''}${isRelation ? 'relation_' : ''}`,
    query: {
      serviceName: from![0]!,
      normal: true,
      ...(isInstance && { serviceInstanceName: from![1]! }),
      ...(isRelation && { destServiceName: to[0]!, destNormal: true }),
      ...(isRelation && isInstance && { destServiceInstanceName: to[1]! }),
    },
  }
}

export function endpointEntity(service: string, endpoint: string): OapEntity {
  return {
    text: `${service} | ${endpoint}`,
    prefix: 'kubernetes_service_endpoint_',
    query: { serviceName: service, normal: true, endpointName: endpoint },
  }
}

const prefixes = [
  'kubernetes_service_instance_relation_',
  'kubernetes_service_relation_',
  'kubernetes_service_instance_',
  'kubernetes_service_endpoint_',
  'kubernetes_service_',
]

export function prefixOf(metric: string): string {
  return prefixes.find(prefix => metric.startsWith(prefix)) ?? ''
}

function serviceId(name: string): string {
  return `${Buffer.from(name).toString('base64')}.1`
}

/** Both minutes are in it. */
function durationOf(fromMinute: number, toMinute: number) {
  const text = (minute: number) => {
    const iso = new Date(minute * 60_000).toISOString()
    return `${iso.slice(0, 10)} ${iso.slice(11, 13)}${iso.slice(14, 16)}`
  }
  return { start: text(fromMinute), end: text(toMinute), step: 'MINUTE' }
}
