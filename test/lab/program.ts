import { createHash } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import { runCommand } from './run-command.ts'

const sources = fileURLToPath(new URL('programs/', import.meta.url))

const recipes = {
  peer: { files: ['peer.c', 'steps.c', 'transfer.c', 'peer.h'], libraries: ['-luring'] },
  datagram: { files: ['datagram.c'], libraries: [] },
  'tap-link': { files: ['tap-link.c'], libraries: [] },
} as const

export type ProgramName = keyof typeof recipes

/** Path of a test program, compiled when its sources are new. Needs gcc; `peer` links liburing where it is installed. */
export async function program(name: ProgramName): Promise<string> {
  const { files, libraries } = recipes[name]
  const uring = libraries.length > 0 && (await exists('/usr/include/liburing.h'))
  return build(`${sources}`, name, files, output => [
    'gcc',
    ...['-O2', '-g', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', output],
    ...files.filter(f => f.endsWith('.c')).map(f => sources + f),
    ...(uring ? libraries : []),
  ])
}

/** Path of the Go server; undefined where no Go tool chain is installed. */
export async function goServer(): Promise<string | undefined> {
  const directory = `${sources}goserver`
  const found = await runCommand(['sh', '-c', 'command -v go || ls /usr/local/go/bin/go'], {
    allowFailure: true,
  })
  if (found.code !== 0) return undefined
  const go = found.stdout.trim().split('\n')[0]!
  const files = await readdir(directory)
  return build(`${directory}/`, 'goserver', files, output => [
    go,
    'build',
    '-C',
    directory,
    '-o',
    output,
    '.',
  ])
}

async function build(
  directory: string,
  name: string,
  files: readonly string[],
  command: (output: string) => string[],
): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) hash.update(await readFile(directory + file))
  const folder = `${tmpdir()}/skybraid-lab-programs-${userInfo().uid}/${hash.digest('hex').slice(0, 16)}`
  // the program's own name: it is what /proc and the product show
  const output = `${folder}/${name}`
  if (await exists(output)) return output
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // two test files may compile at the same time: each under its own name, then one rename
  const own = `${output}.${process.pid}`
  await runCommand(command(own), {
    env: { GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
  })
  await rename(own, output)
  return output
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
