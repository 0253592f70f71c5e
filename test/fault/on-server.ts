import { setTimeout as sleep } from 'node:timers/promises'
import { natsProgram } from '../nats/nats-program.ts'
import { NatsServer, type NatsServerOptions } from '../nats/nats-server.ts'
import { makeStreams } from './arena.ts'
import type { Finding } from './scenario.ts'

export { sleep }

/** Why there is no bus here; undefined if there is. */
export function noServer(): string | undefined {
  try {
    natsProgram('server')
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Runs `body` with a server and the streams; whatever it adds to the stack is taken away afterwards, newest first. */
export async function onServer(
  body: (server: NatsServer, stack: AsyncDisposableStack) => Promise<Finding[]>,
  { server: options, streams }: { server?: NatsServerOptions; streams?: readonly string[] } = {},
): Promise<Finding[]> {
  await using stack = new AsyncDisposableStack()
  const server = await NatsServer.start(options)
  stack.defer(() => server.stop())
  await makeStreams(server.url, streams)
  return await body(server, stack)
}
