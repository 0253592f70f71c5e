import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { NamesMemory } from './programs/names-memory.ts'

export interface ClusterSize {
  readonly pods: number
  readonly services: number
  readonly nodes: number
}

const program = (name: string) => fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))

/** What an aggregator in a process of its own, started with these flags of Node, takes for the names of a cluster of a size. */
export async function namesMemory(
  { pods, services, nodes }: ClusterSize,
  flags: readonly string[] = [],
): Promise<NamesMemory> {
  const folder = mkdtempSync(join(tmpdir(), 'skybraid-names-'))
  const children: ChildProcess[] = []
  const firstLine = async (name: string, ...args: string[]): Promise<string> => {
    const child = spawn(
      process.execPath,
      [...flags, '--conditions=source', '--expose-gc', program(name), ...args],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    children.push(child)
    for await (const line of createInterface({ input: child.stdout })) return line
    throw new Error(`${name} said nothing`)
  }
  try {
    const url = await firstLine('list-server', String(pods), String(services), String(nodes))
    const kubeconfig = join(folder, 'kubeconfig')
    const entries = `clusters: [{name: c, cluster: {server: "${url}", insecure-skip-tls-verify: true}}], contexts: [{name: c, context: {cluster: c, user: u}}]`
    writeFileSync(
      kubeconfig,
      `{apiVersion: v1, kind: Config, current-context: c, users: [{name: u, user: {}}], ${entries}}`,
    )
    return JSON.parse(await firstLine('names-memory', kubeconfig)) as NamesMemory
  } finally {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}
