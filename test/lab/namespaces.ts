import { readdir } from 'node:fs/promises'
import { netnsPath } from './names.ts'
import { runCommand } from './run-command.ts'

/** Adds named network namespaces. */
export async function addNamespaces(names: readonly string[]): Promise<void> {
  await runCommand(['ip', '-batch', '-'], { input: names.map(n => `netns add ${n}\n`).join('') })
}

/** Removes every named network namespace that starts with the prefix; its devices go with it. */
export async function removeNamespaces(prefix: string): Promise<void> {
  const names = await namespacesWith(prefix)
  if (names.length > 0)
    await runCommand(['ip', '-batch', '-'], { input: names.map(n => `netns del ${n}\n`).join('') })
}

export async function namespacesWith(prefix: string): Promise<string[]> {
  const all = await readdir('/run/netns').catch(() => [])
  return all.filter(name => name.startsWith(prefix))
}

/** Prefix for running a program in a namespace without hiding the cgroup mount, as `ip netns exec` would. */
export const inNamespace = (name: string): string[] => ['nsenter', `--net=${netnsPath(name)}`, '--']

/** Runs `ip` commands inside a namespace, in one process. */
export async function ipBatch(name: string, commands: readonly string[]): Promise<void> {
  if (commands.length === 0) return
  await runCommand([...inNamespace(name), 'ip', '-batch', '-'], { input: `${commands.join('\n')}\n` })
}

/**
 * Sets sysctls of a namespace only: /proc/sys/net shows the namespace of whoever opens it. A key that ends in `?` is
 * left out where the kernel has no such sysctl.
 */
export async function setSysctls(
  name: string,
  values: Readonly<Record<string, string | number>>,
): Promise<void> {
  const script = Object.entries(values).map(([key, value]) => {
    if (!key.startsWith('net.')) throw new Error(`${key} is not a sysctl of a network namespace`)
    const path = `/proc/sys/${key.replace('?', '').replaceAll('.', '/')}`
    const write = `echo '${value}' > ${path}`
    return key.endsWith('?') ? `if [ -e ${path} ]; then ${write}; fi` : write
  })
  await runCommand([...inNamespace(name), 'sh', '-ec', script.join('\n')])
}
