/** What the cluster says of a pod that runs. */
export interface PlacedPod {
  readonly metadata: { readonly uid: string }
  readonly spec: { readonly nodeName: string }
  readonly status: { readonly qosClass: string }
}

/** The cgroup of a pod, below the root of its node's. */
export function podCgroup({ metadata, status }: PlacedPod): string {
  const below = status.qosClass === 'Guaranteed' ? '' : `${status.qosClass.toLowerCase()}/`
  return `kubepods/${below}pod${metadata.uid}`
}
