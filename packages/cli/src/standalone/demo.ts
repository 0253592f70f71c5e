import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { NodeSpec } from '../node-spec.ts'

/** The running shop of test/lab: programs on nodes made of network namespaces and cgroups. */
export interface Demo {
  readonly nodes: readonly NodeSpec[]
  /** Ends its programs and removes its namespaces and cgroups. Idempotent. */
  close(): Promise<void>
}

// the same distance from src/ and from dist/; Node runs the TypeScript of the lab as it is
const lab = new URL('../../../../test/lab/demo.ts', import.meta.url)

/** Starts the demo. Throws with one sentence if this copy of the program came without the lab. */
export async function startDemo(): Promise<Demo> {
  if (!existsSync(fileURLToPath(lab))) {
    throw new Error(
      '--demo needs the folder test/lab of the repository, which is not part of this installation',
    )
  }
  const module = (await import(lab.href)) as { startDemo: () => Promise<Demo> }
  return module.startDemo()
}
