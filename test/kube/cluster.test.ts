import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runCommand } from '../lab/run-command.ts'
import { Cluster } from './cluster/cluster.ts'
import { dnsServiceAddress, nodes, stateDirectory } from './cluster/names.ts'
import { ensurePrograms } from './cluster/programs.ts'
import { stageImages } from './images/stage-images.ts'

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly uid: string }
    readonly spec: { readonly nodeName: string }
    readonly status: { readonly containerStatuses: readonly { readonly containerID: string }[] }
  }[]
}

/** Lines that bear a name of the cluster's: other tests may make and remove namespaces meanwhile. */
const ours = (text: string) =>
  text.split('\n').filter(line => /skykube|skybraid-kube|kubelet|\/cni/.test(line))

/** What a cluster must leave as it was: sysctls of the machine, mounts, namespaces, cgroups, links, rules. */
async function machine() {
  const run = async (...argv: string[]) => (await runCommand(argv)).stdout
  return {
    sysctls: ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops'].map(name =>
      readFileSync(`/proc/sys/${name}`, 'utf8'),
    ),
    mounts: ours(readFileSync('/proc/self/mountinfo', 'utf8')),
    namespaces: ours(await run('ip', 'netns', 'list')),
    links: await run('ip', '-br', 'link'),
    rules: await run('nft', 'list', 'ruleset'),
    cgroups: await run('find', '/sys/fs/cgroup', '-name', '*skykube*'),
    // zombies are the matter of process 1
    processes: (await run('ps', '-eo', 'state=,comm='))
      .split('\n')
      .filter(line => /^[^Z] +(kube|containerd|etcd)/.test(line)),
    folders: [stateDirectory, '/var/lib/kubelet', '/var/log/pods', '/etc/cni'].filter(existsSync),
  }
}

let before: Awaited<ReturnType<typeof machine>>
let images: string[]
let cluster: Cluster

beforeAll(async () => {
  await Cluster.down()
  before = await machine()
  images = await stageImages(await ensurePrograms())
  cluster = await Cluster.up({ images })
})

afterAll(() => Cluster.down())

it('has two ready nodes, and starting it again changes nothing', async () => {
  const first = await cluster.status()
  expect(first.nodes.map(n => n.ready)).toEqual(['True', 'True'])
  expect(first.controlPlane.every(s => s.running)).toBe(true)
  expect(await (await Cluster.up({ images })).status()).toEqual(first)
})

it('answers names from every node, through the address of a service', async () => {
  for (const node of nodes) {
    const { stdout } = await cluster.onNode(node, [
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
  const { items } = await cluster.get<Pods>('pods', '-n', 'kube-system', '-l', 'k8s-app=kube-dns')
  const [{ metadata, spec, status }] = items as [Pods['items'][number]]
  const container = status.containerStatuses[0]!.containerID.replace('containerd://', '')
  const unified = /\S+(?= \S+ - cgroup2 )/.exec(readFileSync('/proc/self/mountinfo', 'utf8'))![0]
  const path = `kubepods/besteffort/pod${metadata.uid}/${container}`
  expect(readFileSync(`${unified}/${spec.nodeName}/${path}/cgroup.procs`, 'utf8').trim()).not.toBe('')
  const seen = await cluster.onNode(nodes.find(n => n.name === spec.nodeName)!, [
    'cat',
    `/sys/fs/cgroup/unified/${path}/cgroup.events`,
  ])
  expect(seen.stdout).toContain('populated 1')
})

it('comes back after its API server was killed', async () => {
  await cluster.stopApiServer()
  expect((await cluster.tryKubectl('get', 'nodes')).code).not.toBe(0)
  await cluster.startApiServer()
  expect(await cluster.kubectl('get', 'nodes', '-o', 'name')).toContain(nodes[0]!.name)
})

it('leaves nothing', async () => {
  await Cluster.down()
  expect(await machine()).toEqual(before)
})
