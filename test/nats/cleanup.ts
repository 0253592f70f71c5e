import { afterEach } from 'vitest'
import type { NatsLink } from '../../packages/shared/src/nats/index.ts'
import { NatsServer, type NatsServerOptions } from './nats-server.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Calls `cleanup` after the test that runs now, later ones first. */
export function afterTest(cleanup: () => unknown): void {
  cleanups.push(cleanup)
}

/** A server that goes with the test. */
export async function serverForTest(options?: NatsServerOptions): Promise<NatsServer> {
  const server = await NatsServer.start(options)
  afterTest(() => server.stop())
  return server
}

/** A link that is closed with the test. */
export async function linkForTest(connecting: Promise<NatsLink>): Promise<NatsLink> {
  const link = await connecting
  afterTest(() => link.close())
  return link
}
