export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** Parses `HOST:PORT` or `[IPv6]:PORT`; undefined if it is neither. Port 0 lets the system choose. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  const host = match[1] ?? match[2]
  if (port > 65_535 || host === undefined) return undefined
  return { host, port }
}

export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
