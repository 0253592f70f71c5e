import { inspect } from 'node:util'
import type { NatsLog } from '../../packages/shared/src/nats/index.ts'

/** A log that keeps what it was told, with everything that a careless one would print of it. */
export function recordedLog(): NatsLog & { text(): string } {
  const lines: string[] = []
  const take = (fields: object, message: string) => {
    lines.push(`${message} ${inspect(fields, { depth: 20, showHidden: true })}`)
  }
  return { info: take, warn: take, text: () => lines.join('\n') }
}
