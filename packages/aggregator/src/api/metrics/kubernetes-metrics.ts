import type { KubernetesStatus } from '../../kube/kubernetes.ts'
import type { MetricSet } from './metric-set.ts'

/** How well Kubernetes is known. */
export function writeKubernetesMetrics(out: MetricSet, status: KubernetesStatus): void {
  out.family('skybraid_kubernetes_synced', 'gauge', '1 once everything was listed.')(status.synced ? 1 : 0)
  if (status.ageMs !== undefined)
    out.family(
      'skybraid_kubernetes_age_seconds',
      'gauge',
      'How old the oldest of what is known of Kubernetes may be.',
    )(status.ageMs / 1000)
  const objects = out.family('skybraid_kubernetes_objects', 'gauge', 'Objects known, by kind.')
  objects(status.pods, { kind: 'pod' })
  objects(status.services, { kind: 'service' })
  objects(status.nodes, { kind: 'node' })
  out.family(
    'skybraid_kubernetes_forgotten_total',
    'counter',
    'Deleted objects forgotten early, because there were too many.',
  )(status.forgotten)
  const requests = out.family('skybraid_kubernetes_requests_total', 'counter', 'Lists and watches begun.')
  const events = out.family('skybraid_kubernetes_events_total', 'counter', 'Events of watches.')
  const failures = out.family(
    'skybraid_kubernetes_failures_total',
    'counter',
    'Lists and watches that failed.',
  )
  for (const { resource, ...counts } of status.resources) {
    requests(counts.lists, { resource, verb: 'list' })
    requests(counts.watches, { resource, verb: 'watch' })
    events(counts.events, { resource })
    failures(counts.failures, { resource })
  }
}
