import { fileURLToPath } from 'node:url'
import { runCommand } from '../lab/run-command.ts'

const cache = fileURLToPath(new URL('../../.cache/bench/', import.meta.url))

/** Path of a file under programs/. */
export function programFile(name: string): string {
  return fileURLToPath(new URL(`programs/${name}`, import.meta.url))
}

/** Compiles programs/NAME.c and answers where the program is. */
export async function compiled(name: string, libraries: readonly string[] = []): Promise<string> {
  await runCommand(['mkdir', '-p', cache])
  const output = cache + name
  await runCommand([
    'gcc',
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    output,
    programFile(`${name}.c`),
    ...libraries,
  ])
  return output
}

/** Compiles programs/NAME.bpf.c and answers where the object is. */
export async function compiledBpf(name: string): Promise<string> {
  await runCommand(['mkdir', '-p', cache])
  const output = `${cache}${name}.bpf.o`
  const include = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
  await runCommand([
    'clang',
    '-O2',
    '-g',
    '-target',
    'bpf',
    include,
    '-c',
    programFile(`${name}.bpf.c`),
    '-o',
    output,
  ])
  return output
}
