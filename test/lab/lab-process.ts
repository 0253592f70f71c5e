import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'

export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Where a process lives: it joins the cgroup before it is executed, so that every socket carries it. */
export interface Place {
  readonly cgroup: string
  readonly netns: string
  /** Replaces /etc/resolv.conf for this process only. */
  readonly resolvConf?: string
}

const kept = 16 * 1024 * 1024

/** A process in the lab. `pid` is the program itself: shell, nsenter and unshare replace themselves. */
export class LabProcess {
  readonly name: string
  readonly pid: number
  readonly ended: Promise<ProcessEnd>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
    this.pid = child.pid ?? 0
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-kept)
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-kept)
    })
    child.stdin?.on('error', () => {})
    const { promise, resolve, reject } = Promise.withResolvers<ProcessEnd>()
    this.ended = promise
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr }),
    )
    // whoever does not wait for a process is not asked to handle its end
    promise.catch(() => {})
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** What it has written so far. */
  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Writes to its standard input; programs of the lab wait for a line before the next step. */
  write(text: string): void {
    this.#child.stdin!.write(text)
  }

  endInput(): void {
    this.#child.stdin!.end()
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#child.kill(signal)
  }

  /** Ends it and waits until it is gone; SIGKILL when it does not go by itself in two seconds. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<ProcessEnd> {
    this.kill(signal)
    const timer = setTimeout(() => this.kill('SIGKILL'), 2_000)
    const end = await this.ended
    clearTimeout(timer)
    return end
  }
}

const enter =
  'cgroup=$0; netns=$1; shift; echo 0 > "$cgroup/cgroup.procs" && exec nsenter --net="/run/netns/$netns" -- '
const withResolvConf = `unshare --mount sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$@"`

/** The argument list that runs a program at a place. */
export function commandAt(place: Place, argv: readonly string[]): string[] {
  if (place.resolvConf === undefined) return ['sh', '-c', `${enter}"$@"`, place.cgroup, place.netns, ...argv]
  return ['sh', '-c', enter + withResolvConf, place.cgroup, place.netns, place.resolvConf, ...argv]
}

export interface SpawnOptions {
  readonly name?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdio?: 'pipe' | 'inherit' | 'ignore'
}

export async function spawnAt(
  place: Place,
  argv: readonly string[],
  options: SpawnOptions = {},
): Promise<LabProcess> {
  const [file, ...args] = commandAt(place, argv)
  const child = spawn(file!, args, {
    stdio: options.stdio ?? 'pipe',
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  return new LabProcess(options.name ?? argv[0]!, child)
}

/** The program a process runs now, empty when it is gone. */
export async function programOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()
}
