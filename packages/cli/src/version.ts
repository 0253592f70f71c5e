import { readFileSync } from 'node:fs'

/** Version of this program, from its package.json, which lies beside src/ and dist/ alike. */
export function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
