import { type EndName, nameProblem } from './end-name.ts'
import { WireWriter } from './wire-writer.ts'

/** OAP's name of the layer of the Kubernetes pages; its case matters. */
const layer = 'K8S_SERVICE'

export interface PodBookOptions {
  /** Pods that are remembered; further ones are counted, and not announced until others are forgotten. */
  readonly maxPods?: number
  readonly repeatMs?: number
  readonly forgetMs?: number
}

interface Known {
  /** As it was seen last: it may be on another node by now. */
  pod: EndName
  seenMs: number
  announcedMs: number
}

export interface Announcement {
  readonly keepAlive: Uint8Array
  /** Undefined where there is nothing to tell. */
  readonly properties: Uint8Array | undefined
  /** To be called once OAP has taken both. */
  done(nowMs: number): void
}

/** Which pods OAP should hear of: those without traffic of their own too, or they would be nodes without a layer. */
export interface PodBook {
  see(ends: Iterable<EndName>, nowMs: number): void
  /** Pods to announce now, at most so many. */
  due(nowMs: number, most: number): Announcement[]
  readonly size: number
  /** How often a pod came up for which there was no room. */
  readonly turnedAway: number
}

export function createPodBook(options: PodBookOptions = {}): PodBook {
  const { maxPods = 20_000, repeatMs = 5 * 60_000, forgetMs = 15 * 60_000 } = options
  /** Those that were announced longest ago first, or the first ones would be due again before the last ones' turn. */
  const pods = new Map<string, Known>()
  let turnedAway = 0

  function announce(key: string, known: Known): Announcement {
    const { service, pod, properties } = known.pod
    return {
      keepAlive: keepAlive(service, pod),
      properties: properties.length === 0 ? undefined : instanceProperties(known.pod),
      done(nowMs) {
        known.announcedMs = nowMs
        if (pods.delete(key)) pods.set(key, known)
      },
    }
  }

  return {
    see(ends, nowMs) {
      for (const end of ends) {
        if (end.pod === '' || nameProblem(end) !== undefined) continue
        const key = `${end.service}\n${end.pod}`
        const known = pods.get(key)
        if (known !== undefined) Object.assign(known, { pod: end, seenMs: nowMs })
        else if (pods.size < maxPods)
          pods.set(key, { pod: end, seenMs: nowMs, announcedMs: Number.NEGATIVE_INFINITY })
        else turnedAway++
      }
    },
    due(nowMs, most) {
      const due: Announcement[] = []
      for (const [key, known] of pods) {
        if (nowMs - known.seenMs > forgetMs) pods.delete(key)
        else if (due.length < most && nowMs - known.announcedMs >= repeatMs) due.push(announce(key, known))
      }
      return due
    },
    get size() {
      return pods.size
    },
    get turnedAway() {
      return turnedAway
    },
  }
}

function keepAlive(service: string, pod: string): Uint8Array {
  const writer = new WireWriter()
  writer.text(1, service)
  writer.text(2, pod)
  writer.text(3, layer)
  return writer.finish()
}

function instanceProperties({ service, pod, properties }: EndName): Uint8Array {
  const writer = new WireWriter()
  writer.text(1, service)
  writer.text(2, pod)
  for (const [key, value] of properties) {
    const start = writer.begin(3)
    writer.text(1, key)
    writer.text(2, value)
    writer.end(start)
  }
  writer.text(4, layer)
  return writer.finish()
}
