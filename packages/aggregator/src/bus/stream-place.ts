/** How far a stream was read, and which stream that was. */
export interface StreamPlace {
  /** When the stream was made, as the server says it; two streams of one name differ in it. */
  readonly stream?: string
  /** The last message that was read, or is known to be gone. */
  readonly sequence: number
  /** The stream's time by then. */
  readonly unixMs: number
}

/** What a stream holds now. */
export interface StreamExtent {
  readonly stream: string
  /** The first message that is there, or will be. */
  readonly firstSequence: number
  /** When the stream took it; undefined if it holds nothing. */
  readonly firstUnixMs: number | undefined
  readonly lastSequence: number
}

/**
 * `same`: reading goes on behind the place. `trimmed`: it goes on, and what lies between is gone. `other`: the place says
 * nothing about what is there, because the stream was made anew, or lost what it held and numbers from the start.
 */
export type StreamNews = 'same' | 'trimmed' | 'other'

/** Whether a place that was read to is one in the stream that is there now. */
export function compareStream(known: StreamPlace, is: StreamExtent): StreamNews {
  if (known.sequence === 0) return 'same'
  if (known.stream !== undefined && known.stream !== is.stream) return 'other'
  if (is.lastSequence < known.sequence) return 'other'
  if (is.firstSequence > known.sequence + 1) return 'trimmed'
  // what is older than the place cannot have come after it
  const isYounger = is.firstUnixMs !== undefined && is.firstUnixMs > known.unixMs
  return isYounger && is.firstSequence <= known.sequence ? 'other' : 'same'
}
