import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { until } from './observed-capture.ts'
import type { ObservedGroup } from './observed-group.ts'

/** A client on one connection that asks what it is told line by line. */
export class LineClient {
  readonly #child: ChildProcess
  #output = ''

  constructor(group: ObservedGroup, argv: readonly string[]) {
    const [program, ...args] = argv
    this.#child = group.open('stdbuf', '-oL', program!, ...args)
    const note = (data: Buffer): void => {
      this.#output += data
    }
    this.#child.stdout!.on('data', note)
    this.#child.stderr!.on('data', note)
  }

  /** Asks and waits until so many answers are there altogether. */
  async ask(line: string, answers: (output: string) => number, wanted: number): Promise<void> {
    this.#child.stdin!.write(`${line}\n`)
    await until(`answer ${wanted} to ${line}`, () => answers(this.#output) >= wanted).catch(cause => {
      throw new Error(`${this.#child.spawnargs.join(' ')} said: ${this.#output.slice(-1000)}`, { cause })
    })
  }

  /** Waits for what it prints. */
  async heard(text: string): Promise<void> {
    await until(text, () => this.#output.includes(text))
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'close')
    this.#child.kill()
    await gone
  }

  async end(): Promise<void> {
    const gone = once(this.#child, 'close')
    this.#child.stdin!.end()
    await gone
  }
}
