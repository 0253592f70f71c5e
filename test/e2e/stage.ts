import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { SideTcp, SideUdp, TcpEdge } from '../../packages/aggregator/src/topology/answer.ts'
import { Lab } from '../lab/lab.ts'
import type { LabOptions } from '../lab/make-spec.ts'
import { Product, type ProductOptions } from './product.ts'
import { EdgeNames, edgeKey, type SeenEdge } from './seen-edge.ts'

type Deep<T> = T extends object ? { readonly [K in keyof T]?: Deep<T[K]> } : T

/** What an edge must be, exactly; whatever is left out is not compared. */
export interface ExpectedEdge {
  readonly client: string
  readonly server: string
  readonly protocol?: 'tcp' | 'udp'
  readonly port: number
  readonly via?: string
  readonly observed?: SeenEdge['observed']
  readonly tcp?: Deep<Omit<TcpEdge, 'client' | 'server'>> & {
    readonly client?: Deep<SideTcp>
    readonly server?: Deep<SideTcp & { halfOpen: number }>
  }
  readonly udp?: { readonly client?: Deep<SideUdp>; readonly server?: Deep<SideUdp> }
}

/**
 * A lab and the product observing it, for the tests of one file. Every scenario uses ports of its own; what it expects
 * is compared when it ends and, together with all others, once more at the end of the file: then there must be every
 * expected edge with the same figures, no other edge, nothing lost and identities that hold.
 */
export class Stage {
  lab!: Lab
  product!: Product
  readonly names = new EdgeNames()
  readonly #expected = new Map<string, ExpectedEdge>()
  readonly #ignored: ((edge: SeenEdge) => boolean)[] = []

  async up(lab: LabOptions, product: ProductOptions | 'later'): Promise<void> {
    await Lab.removeStale()
    this.lab = await Lab.up(lab)
    if (product !== 'later') await this.startProduct(product)
  }

  async startProduct(options: ProductOptions = {}): Promise<void> {
    this.product = await Product.start(this.lab, options)
  }

  /** Ends the product and starts it anew: what was expected of the former one is forgotten. */
  async restartProduct(options: ProductOptions = {}): Promise<void> {
    expect(await this.product.stop()).toBe(0)
    this.#expected.clear()
    await this.startProduct(options)
  }

  async down(): Promise<void> {
    await this.product?.stop()
    await this.lab?.down()
  }

  /** Edges that the final comparison leaves out because the scenario does not determine them. */
  ignore(which: (edge: SeenEdge) => boolean): void {
    this.#ignored.push(which)
  }

  async edges(): Promise<SeenEdge[]> {
    this.names.learn(this.lab)
    return this.names.edges(await this.product.topology())
  }

  /**
   * Waits until the edges on these ports are exactly the expected ones; reports the difference otherwise. What moves
   * after the first reading of an open flow is reported after ten seconds (--report).
   */
  async expectEdges(
    ports: readonly number[],
    expected: readonly ExpectedEdge[],
    timeoutMs = 20_000,
  ): Promise<void> {
    await vi.waitFor(
      async () =>
        compare(
          (await this.edges()).filter(e => ports.includes(e.port)),
          expected,
        ),
      { timeout: timeoutMs, interval: 100 },
    )
    for (const edge of expected) this.#expected.set(edgeKey(edge), edge)
  }

  /** The whole map once more, and what the product says of itself. */
  async expectAll(): Promise<void> {
    const seen = (await this.edges()).filter(edge => !this.#ignored.some(which => which(edge)))
    compare(seen, [...this.#expected.values()])
    const answer = await this.product.topology()
    expect(answer.completeness).toMatchObject({ lostRecords: 0, lost: {} })
    const { ingest } = await this.product.status()
    expect(ingest.identity.holds, JSON.stringify(ingest.identity)).toBe(true)
    for (const { node, identity } of ingest.nodes) {
      expect(identity.ring.holds, `${node} ring ${JSON.stringify(identity.ring)}`).toBe(true)
      expect(identity.records.holds, `${node} records ${JSON.stringify(identity.records)}`).toBe(true)
    }
  }
}

function compare(seen: readonly SeenEdge[], expected: readonly ExpectedEdge[]): void {
  const byKey = <T extends Parameters<typeof edgeKey>[0]>(list: readonly T[]) =>
    Object.fromEntries(list.map(e => [edgeKey(e), e]))
  const actual = byKey(seen)
  expect(Object.keys(actual).sort(), 'edges').toEqual(Object.keys(byKey(expected)).sort())
  for (const edge of expected) {
    const { observed, tcp, udp } = edge
    const wanted = { ...(observed && { observed }), ...(tcp && { tcp }), ...(udp && { udp }) }
    expect(actual[edgeKey(edge)], edgeKey(edge)).toMatchObject(wanted)
  }
}

/** Registers set-up, clean-up and the final comparison of a file. */
export function useStage(lab: LabOptions, product: ProductOptions | 'later' = {}): Stage {
  const stage = new Stage()
  beforeAll(() => stage.up(lab, product))
  afterAll(() => stage.down())
  return stage
}

/** To be called after the scenarios of a file. */
export function finalComparison(stage: Stage): void {
  it('shows all of it and nothing else, its numbers add up, and it ends in order', async () => {
    await stage.expectAll()
    expect(await stage.product.stop(), stage.product.output).toBe(0)
  })
}
