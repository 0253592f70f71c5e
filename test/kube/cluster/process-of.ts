import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Whether the process is there and no zombie: those may stay for a while, and signals still reach them. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** The process id in a file; 0 if there is no such file. */
export async function pidIn(file: string): Promise<number> {
  return Number(await readFile(file, 'utf8').catch(() => '0'))
}

const join =
  'for procs; do [ "$procs" = -- ] && break; echo 0 > "$procs/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'

/**
 * Starts a server that outlives this process: it joins the cgroups first, its output goes to `log`, its process id
 * to `pidFile`. Does nothing when the one in `pidFile` still runs.
 */
export async function startServer(options: {
  readonly argv: readonly string[]
  readonly cgroups: readonly string[]
  readonly log: string
  readonly pidFile: string
  readonly env?: Readonly<Record<string, string>>
}): Promise<boolean> {
  if (isAlive(await pidIn(options.pidFile))) return false
  await mkdir(dirname(options.log), { recursive: true })
  const log = openSync(options.log, 'a')
  const child = spawn('sh', ['-c', join, 'sh', ...options.cgroups, '--', ...options.argv], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.env },
  })
  closeSync(log)
  child.unref()
  await writeFile(options.pidFile, `${child.pid}`)
  return true
}
