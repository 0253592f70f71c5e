/** One encoded FlowBatch on its way. `node` is the node token of the subject, which the aggregator checks. */
export interface BusMessage {
  readonly node: string
  readonly partition: number
  readonly data: Uint8Array
  /** What a bus outside the process tells in headers. Always there on messages that a collector publishes. */
  readonly head?: BatchHead
}

/** What identifies a batch, without decoding it. */
export interface BatchHead {
  /** The node's name as in the batch, dots included. */
  readonly node: string
  readonly bootId: string
  readonly sequence: number
  readonly recordCount: number
}

/**
 * What a collector publishes to. Resolves once the batch is safe; rejects only if the batch must be tried again. The
 * message's bytes may be gone once it resolved.
 */
export interface BusPublisher {
  publish(message: BusMessage): Promise<void>
}

/** What an aggregator reads from. Messages of one node and partition arrive in order of publishing. */
export interface BusSubscriber {
  subscribe(onMessage: (message: BusMessage) => void): void
}
