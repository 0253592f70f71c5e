import type { Core } from '../../../packages/aggregator/src/core.ts'
import type {
  Completeness,
  IngestStatus,
  TopologyAnswer,
  TopologyEdge,
} from '../../../packages/aggregator/src/topology/answer.ts'

/** Where the judge asks. */
export interface Witness {
  nowMs(): number
  /** Every counter of every edge of a range. */
  edges(fromMs: number, toMs: number): Promise<readonly TopologyEdge[]>
  completeness(fromMs: number, toMs: number): Promise<Completeness>
  ingest(): Promise<IngestStatus>
}

export function coreWitness(core: Core, nowMs: () => number): Witness {
  const query = { groupBy: 'process', limit: 5_000, detail: true } as const
  return {
    nowMs,
    edges: async (fromMs, toMs) => core.reader.topology({ ...query, fromMs, toMs }, nowMs()).edges,
    completeness: async (fromMs, toMs) => core.reader.completeness(fromMs, toMs, nowMs()),
    ingest: async () => core.reader.ingestStatus(nowMs()),
  }
}

interface Page {
  readonly edges: readonly TopologyEdge[]
  readonly nextCursor?: string
}

const mostPages = 1_000

export function apiWitness(url: string): Witness {
  async function get<T>(path: string): Promise<T> {
    const answer = await fetch(url + path, { signal: AbortSignal.timeout(60_000) })
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as T
  }
  return {
    nowMs: Date.now,
    async edges(fromMs, toMs) {
      const all: TopologyEdge[] = []
      let cursor = ''
      for (let page = 0; page < mostPages; page++) {
        const { edges, nextCursor } = await get<Page>(
          `/edges?from=${fromMs}&to=${toMs}&limit=1000&sort=id${cursor}`,
        )
        all.push(...edges)
        if (nextCursor === undefined) return all
        cursor = `&cursor=${encodeURIComponent(nextCursor)}`
      }
      throw new Error('the pages of /edges do not end')
    },
    completeness: async (fromMs, toMs) =>
      (await get<TopologyAnswer>(`/topology?from=${fromMs}&to=${toMs}&limit=5000`)).completeness,
    ingest: async () => (await get<{ ingest: IngestStatus }>('/status')).ingest,
  }
}
