import { readFileSync } from 'node:fs'
import { SkybraidError } from '@skybraid/shared'
import type { FastifyBaseLogger } from 'fastify'
import { isSameToken, tokenProblem } from './bearer-token.ts'

/** Is this the token that the API wants? */
export type TokenCheck = (token: string) => boolean

/** A file costs a system call or three, so it isn't read for each request. */
const readEveryMs = 1_000

/**
 * Checks against the token that a file holds now, not later than a second after it was replaced. While the file can't
 * be used, as in the middle of a replacement, the last token stays, and the log says so once. Throws SB_CONFIG if it
 * can't be used from the beginning. `nowMs` is monotonic.
 */
export function openTokenFile(path: string, log: FastifyBaseLogger, nowMs: () => number): TokenCheck {
  let token: string
  try {
    token = readToken(path)
  } catch (cause) {
    throw new SkybraidError('SB_CONFIG', `--api-token-file ${path} cannot be used: ${wordsOf(cause)}.`, cause)
  }
  let readMs = nowMs()
  let complained = false
  function refresh(): void {
    if (nowMs() - readMs < readEveryMs) return
    readMs = nowMs()
    try {
      token = readToken(path)
      complained = false
    } catch (cause) {
      if (!complained)
        log.warn({ path, why: wordsOf(cause) }, 'the token of the API stays: its file cannot be used')
      complained = true
    }
  }
  return given => {
    refresh()
    return isSameToken(given, token)
  }
}

function readToken(path: string): string {
  const text = readFileSync(path, 'utf8').trim()
  const problem = tokenProblem(text)
  if (problem !== undefined) throw new Error(problem)
  return text
}

function wordsOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
