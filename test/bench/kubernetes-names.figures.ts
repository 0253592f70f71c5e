import { namesMemory } from '../kube-api/names-memory.ts'
import type { Figure, Measurement } from './figure.ts'
import { launcherFlags } from './launcher-flags.ts'

const rssName = 'aggregator, 10,000 pods, 1,000 services, 500 nodes: RSS over the empty one'
const heapName = 'the same: heap over the empty one'
const blockName = 'the same, while it lists them: longest turn of the event loop, in processor time'
const waitName = 'the same, while it lists them: longest time that the event loop was kept from turning'
const restName = 'the same, at rest for 3 s: lists and watches asked for'

async function measure(): Promise<readonly Figure[]> {
  const flags = launcherFlags('aggregator')
  const empty = await namesMemory({ pods: 0, services: 0, nodes: 0 }, flags)
  const full = await namesMemory({ pods: 10_000, services: 1_000, nodes: 500 }, flags)
  const method = 'lists of invented objects, 12 KB a pod, from a server of its own; after three collections'
  const tenth = (value: number) => Math.round(value * 10) / 10
  return [
    { name: rssName, value: tenth(full.rss - empty.rss), unit: 'MiB', reach: '<= 60', method },
    { name: heapName, value: tenth(full.heap - empty.heap), unit: 'MiB', reach: '<= 20', method },
    {
      name: blockName,
      value: tenth(full.blockCpuMs),
      unit: 'ms',
      reach: '<= 100',
      method: 'processor time of its thread between two turns of a timer of 1 ms',
    },
    {
      name: waitName,
      value: tenth(full.blockMs),
      unit: 'ms',
      reach: '',
      method: 'monitorEventLoopDelay, 1 ms; others that want the processor count too',
    },
    { name: restName, value: full.requestsAtRest, unit: '', reach: '<= 0', method: 'figures of /status' },
  ]
}

export const measurements: readonly Measurement[] = [
  { names: [rssName, heapName, blockName, waitName, restName], measure },
]
