import type { DnsName, Owner } from '@skybraid/shared'
import type { EntitySource } from '../resolve/entity-source.ts'
import { counterCount, counterNames, histogramNames } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'

/** Entities as plain strings in a list: the simplest thing that can be right. */
export class ReferenceEntities implements EntitySource {
  readonly texts: string[] = []
  readonly nodes: string[] = ['']
  readonly learned: { node: string; name: string; address: DnsName['address'] }[] = []
  readonly #ids = new Map<string, number>()

  node(name: string): number {
    const known = this.nodes.indexOf(name)
    return known >= 0 ? known : this.nodes.push(name) - 1
  }

  ofOwner(node: number, owner: Owner): number {
    return this.#intern(`${this.nodes[node]}/${owner.process}`)
  }

  ofAddress(node: number, w0: number, w1: number, w2: number, w3: number): number {
    return this.#intern(`${this.nodes[node]}!${[w0, w1, w2, w3].map(w => (w >>> 0).toString(16)).join('.')}`)
  }

  learnLocal(): void {}

  learnName(node: number, address: Uint8Array, name: string): void {
    this.learned.push({ node: this.nodes[node], address, name })
  }

  group(entity: number): { id: string; name: string } {
    return { id: this.texts[entity] ?? '', name: this.texts[entity] ?? '' }
  }

  #intern(text: string): number {
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    this.#ids.set(text, this.texts.length)
    return this.texts.push(text) - 1
  }
}

/** Per edge, per minute: counters and samples that are not 0. */
export type Booked = Record<string, Record<number, Record<string, number>>>

/** An EdgeBook of maps. Rows move on every call of `row`, so that an offset kept too long is found out. */
export class ReferenceBook implements EdgeBook {
  counters = new Float64Array(counterCount)
  readonly gauges = new Map<string, number>()
  maxEdges = Number.POSITIVE_INFINITY
  oldestMinute = 0
  readonly #entities: ReferenceEntities
  readonly #edges: string[] = []
  readonly #rows = new Map<string, Float64Array>()
  readonly #samples = new Map<string, Map<string, number>>()
  #current = ''

  constructor(entities: ReferenceEntities) {
    this.#entities = entities
  }

  edge(client: number, server: number, protocol: number, port: number, via: number, viaPort: number): number {
    const { texts } = this.#entities
    const suffix = via < 0 ? '' : ` via ${texts[via]}:${viaPort}`
    const name = `${texts[client]} > ${texts[server]}:${port} ${protocol === 1 ? 'tcp' : 'udp'}${suffix}`
    const known = this.#edges.indexOf(name)
    if (known >= 0) return known
    return this.#edges.length >= this.maxEdges ? -1 : this.#edges.push(name) - 1
  }

  row(edge: number, minute: number): number {
    this.#save()
    if (minute < this.oldestMinute) return -1
    this.#current = `${edge}/${minute}`
    this.counters = this.#rows.get(this.#current)?.slice() ?? new Float64Array(counterCount)
    return 0
  }

  sample(row: number, histogram: number, value: number, count: 1 | -1): void {
    if (row !== 0) throw new Error('row offset of another row')
    const samples = this.#samples.get(this.#current) ?? new Map<string, number>()
    this.#samples.set(this.#current, samples)
    const key = `${histogramNames[histogram]}=${value}`
    samples.set(key, (samples.get(key) ?? 0) + count)
  }

  open(edge: number, side: 'client' | 'server' | 'joined', change: 1 | -1): void {
    const key = `${this.#edges[edge]} ${side}`
    this.gauges.set(key, (this.gauges.get(key) ?? 0) + change)
  }

  openNow(): Record<string, number> {
    return Object.fromEntries([...this.gauges].filter(([, count]) => count !== 0).sort())
  }

  booked(): Booked {
    this.#save()
    const booked: Booked = {}
    for (const [key, row] of this.#rows) {
      const values: Record<string, number> = {}
      for (let i = 0; i < counterCount; i++) if (row[i] !== 0) values[counterNames[i]] = row[i]
      for (const [sample, count] of this.#samples.get(key) ?? []) if (count !== 0) values[sample] = count
      if (Object.keys(values).length === 0) continue
      const [edge, minute] = key.split('/').map(Number)
      const name = this.#edges[edge]
      booked[name] ??= {}
      booked[name][minute] = values
    }
    return booked
  }

  #save(): void {
    if (this.#current !== '') this.#rows.set(this.#current, this.counters)
  }
}
