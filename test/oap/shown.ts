import { expect } from 'vitest'
import { eventually } from './eventually.ts'
import { endpointEntity, type OapCall, type OapReader, oapEntity } from './oap-reader.ts'
import type { Truth } from './truth.ts'

/** How many logs carry the sums says nothing about the traffic: it counts intervals. */
const hasNoTruth = /_(write|read)_cpm @/

/** Every series that OAP has of every service, instance, call, instance call and endpoint there is. */
export async function allSeries(
  reader: OapReader,
  truth: Truth,
  firstMinute: number,
  lastMinute: number,
): Promise<Map<string, number>> {
  const entities = [
    ...[...truth.entities].map(oapEntity),
    ...[...truth.endpoints].map(text => endpointEntity(...(text.split(' | ') as [string, string]))),
  ]
  const found = new Map<string, number>()
  for (const entity of entities)
    for (const [key, value] of await reader.series(entity, firstMinute, lastMinute))
      if (!hasNoTruth.test(key)) found.set(key, value)
  return found
}

/** What is known exactly is equal, the rest lies where it must, and no other series has a figure. */
export function expectSeries({ series, bands }: Truth, found: ReadonlyMap<string, number>): void {
  const figures = [...found].filter(([key]) => !bands.has(key))
  expect(Object.fromEntries(figures.sort())).toEqual(Object.fromEntries([...series].sort()))
  const outside = [...bands].filter(([key, [least, most]]) => {
    const shown = found.get(key) ?? 0
    return shown < least || shown > most
  })
  expect(outside.map(([key, band]) => [key, found.get(key), band])).toEqual([])
}

/**
 * Services, nodes, calls, and the instances, endpoints and instance calls of every one of them and between any two:
 * those of truth, and no other.
 */
export async function expectNothingElse(
  reader: OapReader,
  truth: Truth,
  firstMinute: number,
  /** Instances that somebody registered by name, without any traffic of their own: `service | pod`. */
  registered: readonly string[] = [],
): Promise<void> {
  const nodes = [...new Set([...truth.calls.keys()].flatMap(call => call.split(' > ')))].sort()
  const services = new Set([...truth.services, ...registered.map(each => each.split(' | ')[0]!)])
  // what is registered is of the minute in which it was
  const now = () => Math.floor(Date.now() / 60_000)
  await eventually(async () => expect(await reader.services()).toEqual([...services].sort()))
  await eventually(async () => {
    const seen = await reader.topology(firstMinute, now())
    expect(sidesOf(seen.calls)).toEqual(sorted(truth.calls))
    expect(seen.nodes).toEqual(nodes)
  })
  for (const service of nodes)
    await eventually(async () => {
      expect(await reader.endpoints(service)).toEqual(ownOf(service, truth.endpoints))
      const instances = await reader.instances(service, firstMinute, now())
      expect(instances).toEqual(ownOf(service, [...truth.instances, ...registered]))
    })
  await eventually(async () => {
    const seen: OapCall[] = []
    // those of both directions
    for (const [i, one] of nodes.entries())
      for (const other of nodes.slice(i + 1))
        seen.push(...(await reader.instanceCalls(one, other, firstMinute, now())))
    expect(sidesOf(seen)).toEqual(sorted(truth.instanceCalls))
  })
}

function sidesOf(calls: readonly OapCall[]): unknown[] {
  return calls.map(({ call, detectedBy }) => [call, detectedBy]).sort()
}

function sorted(calls: ReadonlyMap<string, ReadonlySet<string>>): unknown[] {
  return [...calls].map(([call, sides]) => [call, [...sides].sort()]).sort()
}

function ownOf(service: string, all: Iterable<string>): string[] {
  const own = [...all].filter(each => each.startsWith(`${service} | `))
  return [...new Set(own.map(each => each.slice(service.length + 3)))].sort()
}
