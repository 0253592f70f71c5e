import type { Cluster } from '../cluster/cluster.ts'

/** What the Prometheus operator would bring: so much that its objects have a place. */
const serviceMonitors = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'servicemonitors.monitoring.coreos.com' },
  spec: {
    group: 'monitoring.coreos.com',
    names: { kind: 'ServiceMonitor', plural: 'servicemonitors' },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
}
const crd = `crd/${serviceMonitors.metadata.name}`

/** The API server takes ServiceMonitors from now on. */
export async function withServiceMonitors(cluster: Cluster): Promise<void> {
  await cluster.apply([serviceMonitors])
  await cluster.kubectl('wait', '--for=condition=Established', crd, '--timeout=30s')
}

export const withoutServiceMonitors = (cluster: Cluster) => cluster.kubectl('delete', crd)
