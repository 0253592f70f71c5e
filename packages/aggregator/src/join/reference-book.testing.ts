import type { DnsName, Owner } from '@skybraid/shared'
import type { Group } from '../resolve/entity.ts'
import type { EntitySource } from '../resolve/entity-source.ts'
import { counterCount, counterNames, histogramNames } from '../topology/counters.ts'
import type { EdgeBook } from '../topology/edge-book.ts'
import { SaidFlag, SaidRows, saidSumCount, saidSums } from '../topology/said-rows.ts'

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

  group(entity: number): Group {
    const id = this.texts[entity] ?? ''
    return { id, kind: 'process', name: id, parent: '', foundBy: 'kernel' }
  }

  isSelected(): boolean {
    return false
  }

  identity(): undefined {
    return undefined
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
  readonly sampleLines = new Uint8Array(0)
  /** Changes of what is open, by edge, side and minute. */
  readonly gauges = new Map<string, number>()
  maxEdges = Number.POSITIVE_INFINITY
  oldestMinute = 0
  readonly #entities: ReferenceEntities
  readonly #edges: string[] = []
  readonly #rows = new Map<string, Float64Array>()
  readonly #samples = new Map<string, Map<string, number>>()
  readonly #said = new Map<number, SaidRows>()
  /** Names of the rows that `counters` holds now. */
  #current: string[] = []

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
    const offsets = new Int32Array(1)
    this.rows(Int32Array.of(edge), 1, minute, offsets)
    return offsets[0]
  }

  rows(edges: Int32Array, count: number, minute: number, offsets: Int32Array): void {
    this.#save()
    this.#current = []
    for (let i = 0; i < count; i++) {
      const name = `${edges[i]}/${minute}`
      const known = this.#current.indexOf(name)
      if (minute < this.oldestMinute) offsets[i] = -1
      else offsets[i] = counterCount * (known >= 0 ? known : this.#current.push(name) - 1)
    }
    this.counters = new Float64Array(counterCount * this.#current.length)
    this.#current.forEach((name, i) => {
      const kept = this.#rows.get(name)
      if (kept !== undefined) this.counters.set(kept, i * counterCount)
    })
  }

  samples(offsets: Int32Array, histograms: Int32Array, values: Uint32Array, count: number): void {
    for (let i = 0; i < count; i++) this.sample(offsets[i], histograms[i], values[i], 1)
  }

  sample(row: number, histogram: number, value: number, count: 1 | -1): void {
    const name = this.#current[row / counterCount]
    if (name === undefined) throw new Error('row offset of another row')
    const samples = this.#samples.get(name) ?? new Map<string, number>()
    this.#samples.set(name, samples)
    const key = `${histogramNames[histogram]}=${value}`
    samples.set(key, (samples.get(key) ?? 0) + count)
  }

  said(minute: number): SaidRows | undefined {
    if (minute < this.oldestMinute) return undefined
    const known = this.#said.get(minute) ?? new SaidRows()
    this.#said.set(minute, known)
    return known
  }

  open(edge: number, side: 'client' | 'server' | 'joined', change: number, minute: number): void {
    const key = `${this.#edges[edge]} ${side}\t${minute}`
    this.gauges.set(key, (this.gauges.get(key) ?? 0) + change)
  }

  openNow(): Record<string, number> {
    const open = new Map<string, number>()
    for (const [key, count] of this.gauges) {
      const name = key.split('\t')[0]
      open.set(name, (open.get(name) ?? 0) + count)
    }
    return Object.fromEntries([...open].filter(([, count]) => count !== 0).sort())
  }

  /** What changed in which minute. */
  openChanges(): Record<string, number> {
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
    this.#addSaid(booked)
    return booked
  }

  #addSaid(booked: Booked): void {
    for (const [minute, rows] of this.#said)
      for (let row = 0; row < rows.rowCount; row++) {
        const edge = this.#edges[rows.edgeOf(row)]
        const { name } = rows.operations[rows.operationOf(row)]
        const side = (rows.flagsOf(row) & SaidFlag.server) === 0 ? 'client' : 'server'
        const text = `${side} ${name} ${rows.statusOf(row)} ${rows.flagsOf(row) & SaidFlag.mask}`
        const put = (key: string, value: number) => {
          if (value === 0) return
          booked[edge] ??= {}
          booked[edge][minute] = { ...booked[edge][minute], [`${text} ${key}`]: value }
        }
        saidSums.forEach((sum, s) => {
          put(sum, rows.sums[row * saidSumCount + s])
        })
        rows.eachBucket(row, (slot, count) => put(`slot ${slot}`, count))
      }
  }

  #save(): void {
    this.#current.forEach((name, i) => {
      this.#rows.set(name, this.counters.slice(i * counterCount, (i + 1) * counterCount))
    })
  }
}
