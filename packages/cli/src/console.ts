import pino, { type Logger } from 'pino'
import { printable } from './printable.ts'

/** Where the program talks to: lines for a person on a terminal, JSON lines for everything else. */
export interface Console {
  readonly log: Logger
  /** Something a person wants to know; on a terminal plain words, otherwise a log line. */
  say(sentence: string): void
}

export interface Output {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** An output that also takes bytes, and says when it wants no more for now. */
export interface DataOutput extends Output {
  /** False: wait for `drain` before the next. */
  write(data: string | Uint8Array): unknown
  once?(event: 'drain', listener: () => void): unknown
  /** Nobody reads it any more. */
  readonly destroyed?: boolean
}

/** `level` is pino's. On a terminal log lines are shortened to one plain line each, names in them escaped. */
export function createConsole(output: Output, level: string): Console {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  if (!output.isTTY) {
    const log = pino(options, { write: line => void output.write(line) })
    return { log, say: sentence => log.info(sentence) }
  }
  const log = pino(options, { write: line => void output.write(plainLine(line)) })
  return { log, say: sentence => void output.write(`${sentence}\n`) }
}

function plainLine(json: string): string {
  const line = JSON.parse(json) as { level: number; msg?: string; node?: string; err?: { message?: string } }
  const kind = pino.levels.labels[line.level] ?? 'info'
  const where = line.node === undefined ? '' : `node ${line.node}: `
  const why = line.err?.message === undefined ? '' : `: ${line.err.message}`
  return `${kind}: ${printable(`${where}${line.msg ?? ''}${why}`)}\n`
}
