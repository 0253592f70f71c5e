import { readSource } from '../checks/tree.ts'

/** The piece of a server's configuration that docs/bus.md tells people to use: the tests run with the very text. */
export function permissionsTemplate(): string {
  const block = /^```nats-server\.conf\n([\s\S]*?)^```/m.exec(readSource('docs/bus.md'))
  if (block === null) throw new Error('docs/bus.md has no block of permissions')
  return block[1]!
}
