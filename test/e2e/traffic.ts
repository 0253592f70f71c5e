import type { Lab } from '../lab/lab.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { program } from '../lab/program.ts'
import { until } from '../lab/until.ts'

/** What `peer dial` counted itself. */
export interface Dialled {
  readonly opened: number
  readonly failed: number
  /** Opened, but ended by an error. */
  readonly broken: number
  readonly sent: number
  readonly received: number
  /** Of all that opened together: until the connection was there, and until its end. */
  readonly openingNs: number
  readonly lastingNs: number
  readonly lastError: string
}

/** What `peer listen` counted of one connection. */
export interface Served {
  readonly remote: string
  readonly remotePort: number
  readonly sent: number
  readonly received: number
  readonly error: string
}

export async function dial(
  lab: Lab,
  from: string,
  to: string,
  port: number,
  steps: readonly string[],
  options: readonly string[] = [],
): Promise<Dialled> {
  const child = await startDial(lab, from, to, port, steps, options)
  child.endInput()
  const end = await child.ended
  if (end.code !== 0) throw new Error(`peer dial: ${end.code ?? end.signal} ${end.stderr}`)
  return dialled(end.stdout)
}

/** The client's last line: its totals. */
export const dialled = (stdout: string) => JSON.parse(stdout.trim().split('\n').at(-1)!) as Dialled

export async function startDial(
  lab: Lab,
  from: string,
  to: string,
  port: number,
  steps: readonly string[],
  options: readonly string[] = [],
): Promise<LabProcess> {
  const argv = [await program('peer'), 'dial', to, String(port), ...options, '--', ...steps]
  return lab.spawn(from, argv, { name: 'peer dial' })
}

export interface Listener {
  readonly process: LabProcess
  /** Connections that have ended. */
  served(): Served[]
  /** Waits until so many have ended. */
  servedAll(count: number): Promise<Served[]>
}

export async function listen(
  lab: Lab,
  target: string,
  port: number,
  steps: readonly string[],
  options: readonly string[] = [],
): Promise<Listener> {
  const argv = [await program('peer'), 'listen', String(port), ...options, '--', ...steps]
  const child = await lab.spawn(target, argv, { name: 'peer listen' })
  await lab.listening(child, port)
  const served = () => lines(child).filter((line): line is Served => 'remotePort' in line)
  return {
    process: child,
    served,
    servedAll: count =>
      until(`${count} connections to end`, () => (served().length >= count ? served() : undefined), {
        timeoutMs: 60_000,
        describe: () => `${served().length} did`,
      }),
  }
}

/** Waits until a program has printed that it reached a `say:` step, so many times. */
export async function said(child: LabProcess, word: string, times = 1, timeoutMs = 30_000): Promise<void> {
  await until(
    `${child.name} at "${word}"`,
    () => lines(child).filter(line => 'said' in line && line.said === word).length >= times,
    { timeoutMs, describe: () => child.stdout + child.stderr },
  )
}

function lines(child: LabProcess): object[] {
  const complete = child.stdout.slice(0, child.stdout.lastIndexOf('\n') + 1)
  return complete
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as object)
}

export const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0)
