import { SkybraidError } from '@skybraid/shared'
import type { DataOutput, Output } from './console.ts'
import { ExitCode } from './exit-code.ts'

/** What a command sees of the process it runs in. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin?: AsyncIterable<Uint8Array>
  readonly stdout: DataOutput
  readonly stderr: Output
}

/** Runs one verb with the arguments behind it and answers the exit code. */
export type RunVerb = (args: readonly string[], around: Surroundings) => Promise<number>

export function print(output: Output, text: string): number {
  output.write(text)
  return ExitCode.ok
}

export function complain({ stderr }: Surroundings, code: number, sentences: readonly string[]): number {
  for (const sentence of sentences) stderr.write(`skybraid: ${sentence}\n`)
  return code
}

/** A SkybraidError is made for people; anything else is a bug and shows where it came from. */
export function complainOf(error: unknown, around: Surroundings): number {
  if (error instanceof SkybraidError) {
    const code = error.code === 'SB_CONFIG' ? ExitCode.usage : ExitCode.cannotRun
    return complain(around, code, [error.message])
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return complain(around, ExitCode.failed, [text])
}
