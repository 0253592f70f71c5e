import { spawn } from 'node:child_process'
import { until } from '../lab/until.ts'
import { programFile } from './bench-program.ts'

/** A collector alone in its process, with a bus that takes every batch at once, on one node. */
export async function startCollectorAlone(cgroup: string, flags: readonly string[] = []) {
  const child = spawn(
    process.execPath,
    [programFile('collector-alone.mjs'), '--cgroup', cgroup, '--node', 'a', ...flags],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const ended = new Promise(resolve => child.once('close', resolve))
  await until('collector', () => {
    if (child.exitCode !== null) throw new Error(`the collector ended with ${child.exitCode}`)
    return output.includes('ready')
  })
  const status = async () => {
    output = ''
    child.stdin.write('\n')
    await until('status', () => output.endsWith('\n'))
    return JSON.parse(output) as { flows: { openFlows: number } }
  }
  const openFlows = async () => (await status()).flows.openFlows
  const stop = async () => {
    child.stdin.end()
    await ended
  }
  return { pid: child.pid!, openFlows, stop }
}
