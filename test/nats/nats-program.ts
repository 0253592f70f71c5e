import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const finder = fileURLToPath(new URL('../../scripts/nats-programs.sh', import.meta.url))
const found = new Map<string, string>()

/** Path of nats-server or of the command line client `nats`, built if need be. Throws with the reason if there is none. */
export function natsProgram(which: 'server' | 'cli'): string {
  const known = found.get(which)
  if (known !== undefined) return known
  try {
    const path = execFileSync('bash', [finder, which], { encoding: 'utf8', stdio: 'pipe' }).trim()
    found.set(which, path)
    return path
  } catch (error) {
    const { stderr } = error as { stderr?: string }
    throw new Error((stderr ?? String(error)).trim(), { cause: error })
  }
}

export function hasNatsProgram(which: 'server' | 'cli'): boolean {
  try {
    return natsProgram(which) !== ''
  } catch {
    return false
  }
}

/** Whether the nats-server found here is at least this version, such as '2.12'. */
export function natsServerIsAtLeast(wanted: string): boolean {
  const text = execFileSync(natsProgram('server'), ['--version'], { encoding: 'utf8' })
  const have = (/v?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number)
  for (const [index, part] of wanted.split('.').map(Number).entries()) {
    if (have[index] !== part) return (have[index] ?? 0) > part
  }
  return true
}
