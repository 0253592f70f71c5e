import type { FastifyRequest } from 'fastify'
import { RequestProblem } from './problem.ts'

const loopbackHost = /^(localhost|([a-z0-9-]+\.)*localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i

/** A page of another site may have its name point to 127.0.0.1 and read us through the browser; its Host betrays it. */
export function checkHost(request: FastifyRequest): void {
  const host = request.headers.host ?? ''
  if (loopbackHost.test(host)) return
  throw new RequestProblem(
    403,
    'forbidden-host',
    'This address only answers to localhost. To be reached under another name it has to listen on an address of the machine, with --api-token-file.',
  )
}

/** Is this a listen address that only this machine can reach? */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host === '::1' || host === '::ffff:127.0.0.1' || /^127(\.\d{1,3}){3}$/.test(host)
  )
}
