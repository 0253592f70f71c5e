import { readFileSync } from 'node:fs'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { SkybraidError } from '@skybraid/shared'

const own = new Set([
  'content-type',
  'content-encoding',
  'content-length',
  'transfer-encoding',
  'connection',
  'host',
])

/** Headers of a file, as `Name: value`, a line each. Throws SB_CONFIG without a word of what is in the file. */
export function readHeaders(path: string): Record<string, string> {
  const fail = (why: string, cause?: unknown) =>
    new SkybraidError('SB_CONFIG', `--otlp-headers-file ${path} cannot be used: ${why}.`, cause)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw fail((error as Error).message, error)
  }
  const headers: Record<string, string> = {}
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue
    const colon = line.indexOf(':')
    const [name, value] = [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]
    if (colon < 1 || !isHeader(name, value)) throw fail(`line ${i + 1} is no header, as NAME: VALUE`)
    if (own.has(name)) throw fail(`line ${i + 1} would set ${name}, which is set already`)
    headers[name] = value
  }
  return headers
}

function isHeader(name: string, value: string): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}
