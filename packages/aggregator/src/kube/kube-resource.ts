import type { KubeKind, KubeObject } from '../resolve/kube-object.ts'
import type { KubeTrimmer } from '../resolve/kube-trim.ts'

/** What is listed and watched of one sort. */
export interface KubeResource {
  readonly name: string
  readonly kind: KubeKind
  readonly path: string
  /** Only metadata is read: who owns it. */
  readonly isMetadataOnly: boolean
  readonly trim: (trimmer: KubeTrimmer) => (raw: unknown) => KubeObject | undefined
}

/** Exactly what the chart's role allows. */
export const kubeResources: readonly KubeResource[] = [
  {
    name: 'nodes',
    kind: 'node',
    path: '/api/v1/nodes',
    isMetadataOnly: false,
    trim: trimmer => trimmer.node,
  },
  {
    name: 'replicasets',
    kind: 'owner',
    path: '/apis/apps/v1/replicasets',
    isMetadataOnly: true,
    trim: trimmer => trimmer.owner,
  },
  {
    name: 'jobs',
    kind: 'owner',
    path: '/apis/batch/v1/jobs',
    isMetadataOnly: true,
    trim: trimmer => trimmer.owner,
  },
  {
    name: 'services',
    kind: 'service',
    path: '/api/v1/services',
    isMetadataOnly: false,
    trim: trimmer => trimmer.service,
  },
  {
    name: 'endpointslices',
    kind: 'slice',
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    isMetadataOnly: false,
    trim: trimmer => trimmer.slice,
  },
  {
    name: 'pods',
    kind: 'pod',
    path: '/api/v1/pods',
    isMetadataOnly: false,
    trim: trimmer => trimmer.pod,
  },
]

export function acceptOf(resource: KubeResource, isList: boolean): string {
  if (!resource.isMetadataOnly) return 'application/json'
  const as = isList ? 'PartialObjectMetadataList' : 'PartialObjectMetadata'
  return `application/json;as=${as};g=meta.k8s.io;v=v1`
}
