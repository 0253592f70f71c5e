import type { EndName } from './end-name.ts'
import type { HttpRequests } from './http-requests.ts'
import { NumberPacker, type PackedReader, takeNumber } from './packed-numbers.ts'
import type { Role } from './pod-pair.ts'

/** Requests as few bytes: what waits for an OAP that is away has to be small. */
export interface PackedRequests {
  readonly count: number
  readonly ends: readonly EndName[]
  /** Methods and paths. */
  readonly texts: readonly string[]
  readonly bytes: Uint8Array
  /** Those with numbers that cannot be packed: whoever writes messages refuses them and counts that. */
  readonly odd: readonly HttpRequests[]
}

const packer = new NumberPacker()

export function packRequests(all: readonly HttpRequests[]): PackedRequests {
  const [ends, texts] = [new Numbered<EndName>(), new Numbered<string>()]
  const odd: HttpRequests[] = []
  for (const requests of all) {
    const numbers = numbersOf(requests)
    if (!numbers.every(n => Number.isSafeInteger(n) && n >= 0)) {
      odd.push(requests)
      continue
    }
    packer.put(ends.numberOf(requests.local))
    packer.put(ends.numberOf(requests.remote))
    packer.put(texts.numberOf(requests.method))
    packer.put(texts.numberOf(requests.path))
    packer.put(requests.latencies.length)
    for (const number of numbers) packer.put(number)
  }
  const [count, bytes] = [all.length - odd.length, packer.finish()]
  return { count, ends: ends.all, texts: texts.all, bytes, odd }
}

/** The requests again. */
export function unpackRequests({ count, ends, texts, bytes, odd }: PackedRequests): HttpRequests[] {
  const reader: PackedReader = { bytes, at: 0 }
  const next = () => takeNumber(reader)
  const one = (): HttpRequests => {
    const [local, remote] = [ends[next()], ends[next()]]
    const [method, path] = [texts[next()], texts[next()]]
    const timed = next()
    return {
      local,
      remote,
      method,
      path,
      role: next() as Role,
      version: next() as HttpRequests['version'],
      status: next(),
      requestHeaderBytes: next(),
      requestBodyBytes: next(),
      responseHeaderBytes: next(),
      responseBodyBytes: next(),
      latencies: Array.from({ length: timed }, () => [next(), next()] as const),
    }
  }
  return [...Array.from({ length: count }, one), ...odd]
}

/** In the order in which they are unpacked. */
function numbersOf(requests: HttpRequests): number[] {
  return [
    requests.role,
    requests.version,
    requests.status,
    requests.requestHeaderBytes,
    requests.requestBodyBytes,
    requests.responseHeaderBytes,
    requests.responseBodyBytes,
    ...requests.latencies.flat(),
  ]
}

class Numbered<T> {
  readonly all: T[] = []
  readonly #numbers = new Map<T, number>()

  numberOf(one: T): number {
    const known = this.#numbers.get(one)
    if (known !== undefined) return known
    const number = this.all.push(one) - 1
    this.#numbers.set(one, number)
    return number
  }
}
