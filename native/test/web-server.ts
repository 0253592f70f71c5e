import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './observed-capture.ts'
import type { ObservedGroup } from './observed-group.ts'

export async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  listener.close()
  await once(listener, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** An nginx in the group, with a file `1k` of that size and whatever else is asked for. */
export interface WebServer {
  readonly directory: string
  readonly port: number
  readonly process: ChildProcess
  /** Lets it finish and says how often its log has each status. */
  finish(): Promise<Record<string, number>>
  remove(): void
}

export async function startNginx(group: ObservedGroup, listen: string): Promise<WebServer> {
  const directory = mkdtempSync(join(tmpdir(), 'sb-nginx-'))
  const port = await freePort()
  writeFileSync(join(directory, '1k'), 'x'.repeat(1024))
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; user root; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error;
    events {} http { access_log ${directory}/log; keepalive_requests 100000000;
    server { listen 127.0.0.1:${port} ${listen}; root ${directory}; } }`,
  )
  const process = group.spawn('nginx', '-p', directory, '-c', join(directory, 'nginx.conf'))
  await until('nginx', () => existsSync(join(directory, 'pid')))
  return {
    directory,
    port,
    process,
    async finish() {
      const gone = once(process, 'exit')
      process.kill('SIGQUIT')
      await gone
      const log = readFileSync(join(directory, 'log'), 'utf8')
      return tally([...log.matchAll(/" (\d{3}) /g)].map(m => Number(m[1])))
    },
    remove() {
      process.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export function tally(statuses: readonly number[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const status of statuses) sums[status] = (sums[status] ?? 0) + 1
  return sums
}
