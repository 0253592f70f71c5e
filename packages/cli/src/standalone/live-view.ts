import type { TopologyAnswer } from '@skybraid/aggregator'
import { liveTable } from './live-table.ts'

/** The part of a terminal that the view writes to. */
export interface Screen {
  readonly columns: number
  readonly rows: number
  write(text: string): void
}

const mostRows = 15

/**
 * A table that redraws itself in place every `everyMs`, below what was printed before. Returns the function that stops
 * it; the last picture stays.
 */
export function showLive(screen: Screen, answer: () => TopologyAnswer, everyMs: number): () => void {
  let drawn = 0
  const draw = () => {
    const rows = Math.max(1, Math.min(mostRows, screen.rows - 4))
    const lines = liveTable(answer(), rows, screen.columns - 1)
    const up = drawn > 0 ? `\u001b[${drawn}A` : ''
    screen.write(`${up}\u001b[J${lines.join('\n')}\n`)
    drawn = lines.length
  }
  draw()
  const timer = setInterval(draw, everyMs)
  return () => clearInterval(timer)
}
