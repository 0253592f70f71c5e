import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Where cgroup2 is mounted on this machine. */
export function cgroup2Mount(): string {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find(l => l.includes(' - cgroup2 '))
  if (line === undefined) throw new Error('no cgroup2 mount')
  return line.split(' ')[4]!
}

/** A cgroup of its own and programs that run in it: what a test observes and nothing else. */
export class ObservedGroup {
  readonly name = `sbnat-${process.pid}-${Math.random().toString(36).slice(2, 8)}.service`
  readonly path = join(cgroup2Mount(), this.name)
  readonly #children: ChildProcess[] = []
  readonly #enter: readonly string[]

  /** `namespace`: of the network, where its programs run; otherwise they have this machine's. */
  constructor(namespace?: string) {
    mkdirSync(this.path)
    this.#enter = namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${namespace}`]
  }

  /** Starts a script in the group. It answers each line on stdin with a line of JSON on stdout. */
  run(script: string): (command: string) => Promise<unknown> {
    return this.converse(process.execPath, '-e', script)
  }

  /** The same of any program. */
  converse(program: string, ...args: string[]): (command: string) => Promise<unknown> {
    const child = this.#start('inherit', 'pipe', program, args)
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
    return async command => {
      child.stdin!.write(`${command}\n`)
      const line = await lines.next()
      if (line.done) throw new Error('the program in the group has ended')
      return JSON.parse(line.value)
    }
  }

  /** Starts a program in the group. */
  spawn(program: string, ...args: string[]): ChildProcess {
    return this.#start('pipe', 'ignore', program, args)
  }

  /** The same with an open input. */
  open(program: string, ...args: string[]): ChildProcess {
    return this.#start('pipe', 'pipe', program, args)
  }

  #start(
    errors: 'pipe' | 'inherit',
    input: 'pipe' | 'ignore',
    program: string,
    args: readonly string[],
  ): ChildProcess {
    const child = spawn(
      'sh',
      ['-c', `echo $$ > ${this.path}/cgroup.procs && exec "$@"`, 'sh', ...this.#enter, program, ...args],
      { stdio: [input, 'pipe', errors] },
    )
    this.#children.push(child)
    return child
  }

  /** Runs a program in the group to its end and says what it printed; throws if it failed. */
  async output(program: string, ...args: string[]): Promise<string> {
    const child = this.spawn(program, ...args)
    let out = ''
    child.stdout!.on('data', data => (out += data))
    child.stderr!.on('data', data => (out += data))
    const [code, signal] = await once(child, 'close')
    if (code !== 0) throw new Error(`${program} ended with ${code ?? signal}: ${out.slice(-2000)}`)
    return out
  }

  async remove(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = new Promise(done => child.once('exit', done))
        child.kill('SIGKILL')
        await gone
      }
    }
    if (!existsSync(this.path)) return
    await this.#empty()
    rmdirSync(this.path)
  }

  /** Children of children go with the group. */
  async #empty(): Promise<void> {
    writeFileSync(join(this.path, 'cgroup.kill'), '1')
    while (readFileSync(join(this.path, 'cgroup.procs'), 'utf8') !== '')
      await new Promise(r => setTimeout(r, 10))
  }
}
