import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export type Json = Readonly<Record<string, unknown>>

/** A program that speaks one JSON object a line. */
export class LineProcess {
  readonly child: ChildProcessWithoutNullStreams
  readonly lines: Json[] = []
  readonly #waiting = new Set<() => void>()
  #error = ''
  #ended = false

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    createInterface({ input: this.child.stdout }).on('line', line => {
      this.lines.push(JSON.parse(line) as Json)
      this.#wake()
    })
    this.child.stderr.on('data', (data: Buffer) => {
      this.#error += data.toString()
    })
    this.child.stdin.on('error', () => undefined)
    this.child.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  get ended(): boolean {
    return this.#ended
  }

  tell(line: string): void {
    this.child.stdin.write(`${line}\n`)
  }

  /** Waits until `test` returns something; fails after `timeoutMs` or when the program ends, with `what` in the message. */
  async until<T>(what: string, test: () => T | undefined, timeoutMs = 30_000): Promise<T> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = test()
      if (found !== undefined) return found
      const left = deadline - Date.now()
      if (this.#ended || left <= 0) throw new Error(`${what} did not come: ${this.#error}`)
      await this.#next(Math.min(left, 1000))
    }
  }

  async end(): Promise<void> {
    this.child.stdin.end()
    const killer = setTimeout(() => this.child.kill('SIGKILL'), 10_000)
    while (!this.#ended) await this.#next(1000)
    clearTimeout(killer)
  }

  #wake(): void {
    for (const resume of [...this.#waiting]) resume()
  }

  #next(timeoutMs: number): Promise<void> {
    return new Promise(resolve => {
      const resume = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(resume)
        resolve()
      }
      const timer = setTimeout(resume, timeoutMs)
      this.#waiting.add(resume)
    })
  }
}
