/** Bits of the `kind` column; the layout is documented in proto/skybraid/v1/flow.proto. */
export const Protocol = { tcp: 1, udp: 2 } as const
export const Role = { unknown: 0, client: 1, server: 2 } as const
export const State = { open: 1, closed: 2, failed: 3, halfOpen: 4 } as const
export const EndReason = {
  unspecified: 0,
  fin: 1,
  rstSent: 2,
  rstReceived: 3,
  kernelTimeout: 4,
  refused: 5,
  timedOut: 6,
  unreachable: 7,
  resetInHandshake: 8,
  abandoned: 9,
  idle: 10,
  localError: 11,
} as const

/** Protocols of the application; the numbers are those of L7Protocol in flow.proto. */
export const L7Protocol = {
  unknown: 0,
  http1: 1,
  http2: 2,
  grpc: 3,
  dns: 4,
  postgres: 5,
  mysql: 6,
  redis: 7,
  tls: 8,
  mqtt: 9,
} as const

/** Why something of an application protocol is in no operation; the numbers are those of L7Cause in flow.proto. */
export const L7Cause = {
  ringFull: 1,
  givenUp: 2,
  gap: 3,
  unpaired: 4,
  outOfStep: 5,
  operationsFull: 6,
  stateRefused: 7,
  rowsFull: 8,
  late: 9,
  malformed: 10,
  cut: 11,
  timesFull: 12,
  misplaced: 13,
} as const

export const Kind = {
  protocolMask: 0x3,
  v6: 1 << 2,
  roleShift: 3,
  roleMask: 0x3,
  roleGuessed: 1 << 5,
  stateShift: 6,
  stateMask: 0x7,
  reasonShift: 9,
  reasonMask: 0xf,
  first: 1 << 13,
  adopted: 1 << 14,
  inherited: 1 << 15,
  quiet: 1 << 16,
  announcedAgain: 1 << 17,
  mptcp: 1 << 18,
  samplingShift: 19,
  samplingMask: 0xf,
  l7Shift: 23,
  l7Mask: 0x1f,
} as const

/** Accessors of one `kind` value; the answers are values of `Protocol`, `Role`, `State` and `EndReason`. */
export function protocolOf(kind: number): number {
  return kind & Kind.protocolMask
}

export function roleOf(kind: number): number {
  return (kind >>> Kind.roleShift) & Kind.roleMask
}

export function stateOf(kind: number): number {
  return (kind >>> Kind.stateShift) & Kind.stateMask
}

export function reasonOf(kind: number): number {
  return (kind >>> Kind.reasonShift) & Kind.reasonMask
}

export function isV6(kind: number): boolean {
  return (kind & Kind.v6) !== 0
}

/** The record stands for 2^this connections. */
export function samplingOf(kind: number): number {
  return (kind >>> Kind.samplingShift) & Kind.samplingMask
}

/** What the connection was found to speak: a value of `L7Protocol`. */
export function l7ProtocolOf(kind: number): number {
  return (kind >>> Kind.l7Shift) & Kind.l7Mask
}

/** The opposite of the accessors. `flags` are single bits of `Kind`, joined with `|`. */
export function packKind(protocol: number, role: number, state: number, reason = 0, flags = 0): number {
  const fields =
    protocol | (role << Kind.roleShift) | (state << Kind.stateShift) | (reason << Kind.reasonShift)
  return (fields | flags) >>> 0
}
