import type { EdgeId } from './edge-book.ts'

/**
 * The latency samples of an open minute in the order in which they came, for readers that keep sums and want to know
 * what is new. Bounded: when it is full the older half is forgotten, and a reader that has not read it starts over.
 */
export interface SampleLog {
  /** Nothing is noted before the first reader comes. */
  isOn: boolean
  /** Samples noted ever, and how many of them, the first ones, are forgotten. */
  noted: number
  forgotten: number
  /** From the first one that is not forgotten on. */
  edges: Int32Array
  /** Key + 1, negative where a sample was taken back. */
  keys: Int32Array
}

const firstLength = 1 << 10
const mostSamples = 1 << 20

export function createSampleLog(): SampleLog {
  return { isOn: false, noted: 0, forgotten: 0, edges: new Int32Array(0), keys: new Int32Array(0) }
}

export function noteSample(log: SampleLog, edge: EdgeId, key: number, count: 1 | -1): void {
  if (log.noted - log.forgotten === log.edges.length) makeRoom(log)
  const at = log.noted++ - log.forgotten
  log.edges[at] = edge
  log.keys[at] = count * (key + 1)
}

function makeRoom(log: SampleLog): void {
  const { length } = log.edges
  if (length >= mostSamples) {
    const half = length / 2
    log.edges.copyWithin(0, half)
    log.keys.copyWithin(0, half)
    log.forgotten += half
    return
  }
  log.edges = grown(log.edges, Math.max(firstLength, length * 2))
  log.keys = grown(log.keys, Math.max(firstLength, length * 2))
}

function grown(from: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(length)
  larger.set(from)
  return larger
}
