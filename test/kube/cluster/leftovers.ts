import { existsSync, readFileSync } from 'node:fs'
import { runCommand } from '../../lab/run-command.ts'
import { stateDirectory } from './names.ts'

/** Lines that bear a name of the cluster's: other tests may make and remove namespaces meanwhile. */
const ours = (text: string) =>
  text.split('\n').filter(line => /skykube|skybraid-kube|kube-proxy|kubelet|\bcni/.test(line))

/** A server of the cluster: the path of what it reads is among its arguments. */
const isOurs = (line: string) =>
  /^[^Z]/.test(line) && / \S+(kube|containerd|etcd)\S* .*\/skybraid-kube\//.test(line)

/** What a cluster must leave as it was: sysctls of the machine, mounts, namespaces, cgroups, links, rules. */
export async function machine() {
  const run = async (...argv: string[]) => (await runCommand(argv)).stdout
  return {
    sysctls: ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops'].map(name =>
      readFileSync(`/proc/sys/${name}`, 'utf8'),
    ),
    mounts: ours(readFileSync('/proc/self/mountinfo', 'utf8')),
    namespaces: ours(await run('ip', 'netns', 'list')),
    links: ours(await run('ip', '-br', 'link')),
    rules: ours(await run('nft', 'list', 'ruleset')),
    cgroups: await run('find', '/sys/fs/cgroup', '-name', '*skykube*'),
    // zombies are the matter of process 1
    processes: (await run('ps', '-ww', '-eo', 'state=,args=')).split('\n').filter(isOurs),
    folders: [stateDirectory, '/var/lib/kubelet', '/var/log/pods', '/etc/cni'].filter(existsSync),
  }
}
