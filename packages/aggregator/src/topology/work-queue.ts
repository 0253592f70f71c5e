/** Work in steps, each of which yields how much it was. */
export type StepWork = Generator<number, void>

/** Long work, done a little at a time and in order. */
export interface WorkQueue {
  /** `size` is what the work takes altogether, roughly, in the unit of its steps. */
  add(work: StepWork, size: number): void
  /** Does `amount`, or more where so much waits that it would pile up; nothing for 0. */
  advance(amount: number): void
  /** Does everything. */
  finish(): void
  readonly length: number
}

/** The longer the queue, the more is done at a time: a hundredth of it, and so much at once that no more waits. */
const shareAtATime = 100
const mostWaiting = 1_000_000

export function createWorkQueue(): WorkQueue {
  const queue: { readonly work: StepWork; readonly size: number }[] = []

  /** Takes the next step and says how much it was. */
  function step(): number {
    const { value, done } = queue[0].work.next()
    if (done) queue.shift()
    return done ? 0 : value
  }

  function waiting(): number {
    return queue.reduce((sum, { size }) => sum + size, 0)
  }

  return {
    add(work, size) {
      queue.push({ work, size })
    },
    advance(amount) {
      while (queue.length > 1 && waiting() > mostWaiting) step()
      let left = amount === 0 ? 0 : Math.max(amount, waiting() / shareAtATime)
      while (queue.length > 0 && left > 0) left -= step()
    },
    finish() {
      while (queue.length > 0) step()
    },
    get length() {
      return queue.length
    },
  }
}
