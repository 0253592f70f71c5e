import { L7Protocol } from '@skybraid/shared'

/** Those that can be chosen: gRPC is found in HTTP/2. */
export const protocolNames = Object.keys(L7Protocol).filter(name => name !== 'unknown' && name !== 'grpc')

/** `all`, `off`, or names with commas between → a bit per number of L7Protocol; undefined if it is none of these. */
export function protocolBits(list: string): number | undefined {
  if (list === 'off') return 0
  const names = list === 'all' ? protocolNames : list.split(',').map(name => name.trim())
  if (!names.every(name => protocolNames.includes(name))) return undefined
  return names.reduce((bits, name) => bits | (1 << L7Protocol[name as keyof typeof L7Protocol]), 0)
}
