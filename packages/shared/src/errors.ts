/** Every code that a SkybraidError can carry, with what it means. Codes never change their meaning. */
export const errorCodes = {
  SB_CONFIG: 'an option is unknown, missing or has a value that cannot be used',
  SB_CAPTURE: 'the kernel could not be observed',
  SB_BUS_FULL: 'the bus has no room now; the same batch can be published again later',
  SB_BUS_CLOSED: 'the bus was closed',
  SB_BUS_REFUSED: 'the bus does not give what a program asks for',
  SB_BUS_JETSTREAM: 'the server of the bus has no JetStream',
  SB_BUS_STREAM: 'a stream of the bus could not be made or looked at',
  SB_BUS_UNREACHABLE: 'no server of the bus could be used',
  SB_BUS_SUBSCRIBER: 'a subscriber failed while it was handed a batch',
  SB_LISTEN: 'the API cannot listen where it was told to',
  SB_ADDRESS: 'a text is not an IPv4 or IPv6 address',
  SB_INTERNAL: 'a rule inside the program was broken; this is a bug',
} as const

export type ErrorCode = keyof typeof errorCodes

/** An error that is meant for people: `message` is plain words, `code` is stable, `cause` keeps what was caught. */
export class SkybraidError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'SkybraidError'
    this.code = code
  }
}
