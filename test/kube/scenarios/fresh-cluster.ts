import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { Cluster } from '../cluster/cluster.ts'
import { dnsServiceAddress, nodes } from '../cluster/names.ts'
import { stageImages } from '../images/stage-images.ts'

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly uid: string }
    readonly spec: { readonly nodeName: string }
    readonly status: { readonly containerStatuses: readonly { readonly containerID: string }[] }
  }[]
}

/** What the cluster is before anything is installed. */
export function freshCluster(cluster: () => Cluster): void {
  it('has two ready nodes, and starting it again changes nothing', async () => {
    const first = await cluster().status()
    expect(first.nodes.map(n => n.ready)).toEqual(['True', 'True'])
    expect(first.controlPlane.every(s => s.running)).toBe(true)
    expect(await (await Cluster.up({ images: await stageImages(cluster().programs) })).status()).toEqual(
      first,
    )
  })

  it('answers names from every node, through the address of a service', async () => {
    for (const node of nodes) {
      const { stdout } = await cluster().onNode(node, [
        'dig',
        '+short',
        '+timeout=5',
        `@${dnsServiceAddress}`,
        'kubernetes.default.svc.cluster.local',
      ])
      expect(stdout.trim()).toBe('10.94.0.1')
    }
  })

  it('puts a pod into the cgroup2 tree of its node', async () => {
    const { items } = await cluster().get<Pods>('pods', '-n', 'kube-system', '-l', 'k8s-app=kube-dns')
    const [{ metadata, spec, status }] = items as [Pods['items'][number]]
    const container = status.containerStatuses[0]!.containerID.replace('containerd://', '')
    const unified = /\S+(?= \S+ - cgroup2 )/.exec(readFileSync('/proc/self/mountinfo', 'utf8'))![0]
    const path = `kubepods/besteffort/pod${metadata.uid}/${container}`
    expect(readFileSync(`${unified}/${spec.nodeName}/${path}/cgroup.procs`, 'utf8').trim()).not.toBe('')
    const seen = await cluster().onNode(nodes.find(n => n.name === spec.nodeName)!, [
      'cat',
      `/sys/fs/cgroup/unified/${path}/cgroup.events`,
    ])
    expect(seen.stdout).toContain('populated 1')
  })
}
