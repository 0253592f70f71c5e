import { RequestProblem } from './problem.ts'

/** While a process starts, its event loop is busy loading and compiling: that is no overload. */
const startMs = 10_000

/**
 * What becomes of a request while the event loop is behind: right after the start it goes on, later it is refused with
 * a 503 that says when to come back. `nowMs` is monotonic.
 */
export function createPressureHandler(nowMs: () => number): () => Promise<void> {
  const startedMs = nowMs()
  return async () => {
    if (nowMs() - startedMs < startMs) return
    throw new RequestProblem(503, 'overloaded', 'The event loop is behind; try again shortly.', {
      retryAfterSeconds: 2,
    })
  }
}
