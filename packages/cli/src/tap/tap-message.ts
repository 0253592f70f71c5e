import { type FlowMessageHead, flowHead } from '@skybraid/shared/nats'

/** One batch as it came, not decoded yet. */
export interface TapMessage {
  readonly payload: Uint8Array
  /** Where it came by the bus. */
  readonly subject?: string
  /** What its headers say; absent in files, and where they don't make sense. */
  readonly head?: FlowMessageHead
}

interface Received {
  readonly subject: string
  readonly data: Uint8Array
  readonly headers?: { get(name: string): string } | undefined
}

export function tapMessage({ subject, data, headers }: Received): TapMessage {
  const head = headers === undefined ? undefined : flowHead(name => headers.get(name) || undefined)
  return { payload: data, subject, ...(head === undefined ? {} : { head }) }
}
