import { formatHostPort, type HostPort, SkybraidError } from '@skybraid/shared'
import type { ApiServer } from './api-deps.ts'
import { isLoopback } from './host-check.ts'

export interface ListenConfig {
  readonly listen: HostPort
  readonly apiAuth: string
  readonly apiTokenFile?: string | undefined
  readonly insecure: boolean
}

/** Throws SB_CONFIG where other machines reach the address and nobody is asked for a token, unless that is wanted. */
export function checkListenAddress({ listen, apiAuth, apiTokenFile, insecure }: ListenConfig): void {
  const asks = apiAuth === 'kubernetes' || apiTokenFile !== undefined
  if (asks || insecure || isLoopback(listen.host)) return
  throw new SkybraidError(
    'SB_CONFIG',
    `${formatHostPort(listen)} can be reached from other machines and the API asks nobody who they are; name a token with --api-token-file, listen on 127.0.0.1, or set --insecure if that is wanted.`,
  )
}

/** Starts listening and answers the address in use. Rejects with SB_LISTEN and one plain sentence. */
export async function listenOn(app: ApiServer, listen: HostPort): Promise<HostPort> {
  try {
    await app.listen({ host: listen.host, port: listen.port })
  } catch (error) {
    throw new SkybraidError('SB_LISTEN', listenProblem(listen, error), error)
  }
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : listen.port
  return { host: listen.host, port }
}

function listenProblem(listen: HostPort, error: unknown): string {
  const where = formatHostPort(listen)
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EADDRINUSE') {
    return `Port ${listen.port} on ${listen.host} is taken by another program; stop it, or choose another with --listen ${listen.host}:${listen.port + 1}.`
  }
  if (code === 'EACCES')
    return `This user may not listen on ${where}; choose a port above 1023 with --listen.`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `${listen.host} is no address of this machine; choose one with --listen, for example 127.0.0.1:${listen.port}.`
  }
  return `The API cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}.`
}
