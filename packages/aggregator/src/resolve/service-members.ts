import type { KubeSlice } from './kube-object.ts'
import type { PodRecord, SliceRecord } from './kube-record.ts'

/** Which services pods stand behind, as `namespace/name`, by the slices that list them. */
export interface ServiceMembers {
  /** A slice has a new state; `before` is the one that it had. Answers whether any pod's services changed. */
  put(record: SliceRecord, before: KubeSlice | undefined, seenMs: number): boolean
  end(record: SliceRecord, atMs: number): void
  /** Of a pod that is there: now. Of one that ended: those that it stood behind until then. */
  of(pod: PodRecord): readonly string[]
  forgetPod(uid: string): void
  forgetSlice(record: SliceRecord): void
}

interface Left {
  readonly service: string
  readonly leftMs: number
}

const none: readonly string[] = []
const mostLeft = 8
/** Slices and pods are watched apart: of one change, either may be heard of first. */
const apartMs = 5_000

export function createServiceMembers(): ServiceMembers {
  /** Pods of one service share a list: most stand behind one alone. */
  const current = new Map<string, readonly string[]>()
  const left = new Map<string, readonly Left[]>()
  const slices = new Map<string, Set<SliceRecord>>()

  function join(uid: string, own: readonly string[]): boolean {
    const all = current.get(uid)
    if (all?.includes(own[0]!)) return false
    current.set(uid, all ? [...all, ...own] : own)
    return true
  }

  function leave(uid: string, service: string, atMs: number): boolean {
    for (const record of slices.get(service) ?? [])
      if (atMs < record.goneMs && record.slice.podUids.includes(uid)) return false
    const others = current.get(uid)?.filter(name => name !== service) ?? none
    if (others.length > 0) current.set(uid, others)
    else current.delete(uid)
    left.set(uid, [...(left.get(uid) ?? []), { service, leftMs: atMs }].slice(-mostLeft))
    return true
  }

  function unlist(record: SliceRecord, service: string): void {
    const others = slices.get(service)
    others?.delete(record)
    if (others?.size === 0) slices.delete(service)
  }

  return {
    put(record, before, seenMs) {
      const { slice } = record
      const service = fullName(slice)
      const own = [service]
      slices.set(service, (slices.get(service) ?? new Set()).add(record))
      let isNews = false
      for (const uid of slice.podUids) isNews = join(uid, own) || isNews
      if (!before) return isNews
      const isOther = fullName(before) !== service
      if (isOther) unlist(record, fullName(before))
      for (const uid of before.podUids)
        if (isOther || !slice.podUids.includes(uid)) isNews = leave(uid, fullName(before), seenMs) || isNews
      return isNews
    },
    end({ slice }, atMs) {
      for (const uid of slice.podUids) leave(uid, fullName(slice), atMs)
    },
    of(record) {
      const now = current.get(record.pod.uid) ?? none
      const before = left.get(record.pod.uid)
      if (!before) return now
      const endMs = endOf(record)
      const last = before.filter(({ leftMs }) => leftMs >= endMs - apartMs).map(({ service }) => service)
      return last.length > 0 ? [...new Set([...now, ...last])] : now
    },
    forgetPod(uid) {
      current.delete(uid)
      left.delete(uid)
    },
    forgetSlice: record => unlist(record, fullName(record.slice)),
  }
}

/** When a pod ended or was seen to end; infinite while it does not. */
function endOf({ pod, goneMs, seenMs }: PodRecord): number {
  return Math.min(
    goneMs,
    pod.endedMs ?? Number.POSITIVE_INFINITY,
    pod.deleting ? seenMs : Number.POSITIVE_INFINITY,
  )
}

function fullName({ namespace, service }: KubeSlice): string {
  return `${namespace}/${service}`
}
