import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Python {
  readonly path: string
  /** Folder of the code that protoc made. */
  readonly modules: string
}

const finder = fileURLToPath(new URL('../../scripts/python-consumer.sh', import.meta.url))

/** Python with the libraries of the tests, or why there is none. */
export function findPython(): Python | string {
  try {
    const output = execFileSync('bash', [finder], { encoding: 'utf8', stdio: 'pipe' })
    const [path, modules] = output.trim().split('\n')
    return { path: path!, modules: modules! }
  } catch (error) {
    return ((error as { stderr?: string }).stderr ?? String(error)).trim()
  }
}
