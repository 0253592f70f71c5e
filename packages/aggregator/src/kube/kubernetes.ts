import type { FastifyBaseLogger } from 'fastify'
import { createKubeNames, type KubeNames } from '../resolve/kube-names.ts'
import { createKubeTrimmer } from '../resolve/kube-trim.ts'
import { kubeResources } from './kube-resource.ts'
import type { KubeTransport } from './kube-transport.ts'
import { type KubeWatchStatus, startKubeWatch } from './kube-watch.ts'

export interface KubernetesStatus {
  readonly server: string
  /** Everything was listed once. */
  readonly synced: boolean
  /** Since when nothing was heard of the sort that was heard of longest ago; absent before the first list. */
  readonly ageMs?: number
  readonly pods: number
  readonly services: number
  readonly nodes: number
  readonly gone: number
  readonly forgotten: number
  readonly resources: readonly KubeWatchStatus[]
}

export interface Kubernetes {
  readonly names: KubeNames
  readonly transport: KubeTransport
  status(): KubernetesStatus
  close(): Promise<void>
}

export interface KubernetesOptions {
  readonly transport: KubeTransport
  readonly log: FastifyBaseLogger
  readonly retentionMs: number
  readonly nowMs?: () => number
  readonly silentMs?: number
}

const tidyMs = 60_000
const quietMs = 10_000

/** Watches what names are made from. While the API server is away, the last known names stay. */
export function watchKubernetes(options: KubernetesOptions): Kubernetes {
  const { transport, log } = options
  const nowMs = options.nowMs ?? Date.now
  const names = createKubeNames()
  const trimmer = createKubeTrimmer()
  const listed = new Set<string>()
  let loggedMs = 0

  const watches = kubeResources.map(resource => {
    // ReplicaSets and Jobs are one kind: a list of the ones says nothing of the others
    const owners = new Set<string>()
    return startKubeWatch({
      transport,
      resource,
      trimmer,
      nowMs,
      random: Math.random,
      ...(options.silentMs === undefined ? {} : { silentMs: options.silentMs }),
      handlers: {
        put(object, heardMs) {
          if (object.kind === 'pod' || object.kind === 'service') names.noteNamespace(object.namespace)
          if (object.kind === 'owner') owners.add(object.uid)
          names.index.put(object, nowMs(), heardMs)
        },
        gone(uid) {
          owners.delete(uid)
          names.index.gone(resource.kind, uid, nowMs())
        },
        listed(uids, sinceMs) {
          const among = resource.kind === 'owner' ? owners : undefined
          names.index.keepOnly(resource.kind, uids, sinceMs || nowMs(), among)
          for (const uid of owners) if (!uids.has(uid)) owners.delete(uid)
          if (listed.has(resource.name)) return
          listed.add(resource.name)
          if (listed.size === kubeResources.length) names.synced()
        },
      },
      onError(error) {
        if (nowMs() - loggedMs < quietMs) return
        loggedMs = nowMs()
        log.warn(
          { err: error, resource: resource.name },
          'Kubernetes cannot be watched; names stay as they were',
        )
      },
    })
  })
  const timer = setInterval(() => names.index.forget(nowMs() - options.retentionMs), tidyMs)
  timer.unref()

  return {
    names,
    transport,
    status() {
      const resources = watches.map(w => w.status())
      const oldest = Math.min(...resources.map(r => r.heardMs))
      return {
        server: transport.server,
        synced: listed.size === kubeResources.length,
        ...(oldest > 0 && { ageMs: Math.max(0, nowMs() - oldest) }),
        ...names.index.stats(),
        resources,
      }
    },
    async close() {
      clearInterval(timer)
      await Promise.all(watches.map(w => w.close()))
    },
  }
}
