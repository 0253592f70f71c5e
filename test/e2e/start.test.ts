import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TopologyAnswer } from '../../packages/aggregator/src/topology/answer.ts'
import { Lab } from '../lab/lab.ts'
import { until } from '../lab/until.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { freePort } from './product.ts'
import {
  added,
  common,
  type Holdings,
  kernelObjects,
  kernelObjectsOf,
  labPieces,
  processesWith,
} from './remains.ts'

const missing = whyNoLab()

/** `npm start` as somebody types it, in a process group of its own as a shell gives it. */
class Started {
  readonly mark = `TEST_STARTED=${randomUUID()}`
  readonly begun = performance.now()
  readonly #child: ChildProcess
  readonly #url: string
  output = ''

  private constructor(port: number, flags: readonly string[]) {
    const [name, value] = this.mark.split('=')
    this.#url = `http://127.0.0.1:${port}`
    this.#child = spawn('npm', ['start', '--', '--listen', `127.0.0.1:${port}`, ...flags], {
      detached: true,
      env: { ...process.env, [name!]: value },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.setEncoding('utf8').on('data', text => {
        this.output += text
      })
  }

  static async with(...flags: string[]): Promise<Started> {
    return new Started(await freePort(), flags)
  }

  /** The first answer at /topology; `atMs` after the start. */
  firstAnswer(): Promise<{ answer: TopologyAnswer; atMs: number }> {
    return until(
      'an answer at /topology',
      async () => {
        if (this.#child.exitCode !== null) throw new Error(`npm start ended:\n${this.output}`)
        const response = await fetch(`${this.#url}/topology`).catch(() => undefined)
        if (!response?.ok) return undefined
        return { answer: (await response.json()) as TopologyAnswer, atMs: performance.now() - this.begun }
      },
      { everyMs: 10, describe: () => this.output },
    )
  }

  /** Ctrl-C: the terminal interrupts everything in the foreground. Resolves when all of it has ended. */
  async interrupt(): Promise<void> {
    process.kill(-this.#child.pid!, 'SIGINT')
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'close')
    await until('all of its processes to end', () => processesWith(this.mark).length === 0, {
      describe: () => `${processesWith(this.mark).join(' ')}\n${this.output}`,
    })
  }

  /** Whatever is left after a test that failed. */
  kill(): void {
    for (const pid of processesWith(this.mark)) process.kill(pid, 'SIGKILL')
  }
}

describe.skipIf(missing !== '')(`npm start ${missing}`, () => {
  let started: Started | undefined
  beforeAll(() => Lab.removeStale())
  afterEach(async () => {
    started?.kill()
    await Lab.removeStale()
  })

  /** Its kernel objects go with its last reference to them, which the kernel drops a moment later. */
  const expectNoneLeft = (held: Holdings) =>
    until('the kernel to let go of what it held', () => common(held, kernelObjects()).length === 0, {
      describe: () => common(held, kernelObjects()).join(', '),
    })

  it('leaves nothing behind at Ctrl-C', async () => {
    const pieces = await labPieces()
    started = await Started.with()
    await started.firstAnswer()
    const held = kernelObjectsOf(processesWith(started.mark))
    for (const kind of ['prog', 'map', 'link'])
      expect(
        [...held].filter(what => what.startsWith(kind)),
        kind,
      ).not.toEqual([])
    expect(added(kernelObjects(), held)).toEqual([])
    await started.interrupt()
    await expectNoneLeft(held)
    expect(added(pieces, await labPieces())).toEqual([])
  })

  it('has nothing to build the second time, and answers', async () => {
    started = await Started.with()
    const { answer, atMs } = await started.firstAnswer()
    console.info(`npm start, nothing to build: first answer after ${(atMs / 1_000).toFixed(2)} s`)
    expect(started.output).not.toMatch(/building|installing/)
    expect(answer.completeness.lostRecords).toBe(0)
    await started.interrupt()
    expect(started.output).not.toMatch(/^\s+at /m)
  })

  it('with --demo, too: no program, map, link, process, namespace or cgroup', async () => {
    const pieces = await labPieces()
    started = await Started.with('--demo')
    const { answer } = await started.firstAnswer()
    expect(answer.completeness.lostRecords).toBe(0)
    const during = added(pieces, await labPieces())
    for (const what of ['namespace', 'cgroup', 'folder'])
      expect(
        during.filter(piece => piece.startsWith(what)),
        what,
      ).not.toEqual([])
    const held = kernelObjectsOf(processesWith(started.mark))
    expect(held.size).toBeGreaterThan(0)
    await started.interrupt()
    await expectNoneLeft(held)
    expect(added(pieces, await labPieces())).toEqual([])
  })
})
