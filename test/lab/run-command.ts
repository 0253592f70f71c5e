import { spawn } from 'node:child_process'

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. Rejects on a non-zero exit unless `allowFailure`; output is kept whole. */
export function runCommand(
  argv: readonly string[],
  options: {
    readonly input?: string
    readonly allowFailure?: boolean
    readonly env?: Readonly<Record<string, string>>
  } = {},
): Promise<CommandResult> {
  const [file, ...args] = argv
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>()
  const child = spawn(file!, args, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout!.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr!.on('data', (chunk: Buffer) => err.push(chunk))
  child.once('error', reject)
  child.once('close', (code, signal) => {
    const result = {
      code: code ?? 128,
      stdout: Buffer.concat(out).toString(),
      stderr: Buffer.concat(err).toString(),
    }
    if (code === 0 || options.allowFailure) return resolve(result)
    const how = signal ? `ended by ${signal}` : `exit code ${code}`
    reject(new Error(`${argv.join(' ')}: ${how}\n${result.stderr || result.stdout}\n${options.input ?? ''}`))
  })
  if (options.input !== undefined) {
    // A program that exits before reading everything is reported by its exit code, not by EPIPE.
    child.stdin!.on('error', () => {})
    child.stdin!.end(options.input)
  }
  return promise
}
