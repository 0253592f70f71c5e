import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'

/** One entry of an image's file system: a file, or a symbolic link. Paths have no leading slash. */
export type Entry =
  | { readonly path: string; readonly content: Buffer; readonly mode: number }
  | { readonly path: string; readonly linkTo: string }
  | { readonly path: string; readonly directoryMode: number }

/** A layer as it lies in a registry. `diffId` is the digest before compression. */
export interface Layer {
  readonly blob: Buffer
  readonly digest: string
  readonly diffId: string
}

export const digestOf = (bytes: Buffer | string) =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const epoch = new Date(0)

/** The tar of some entries: sorted, owned by root, dated 1970, so that equal content gives equal bytes. */
export async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const all = [...withParents(entries)].sort((a, b) => (a.path < b.path ? -1 : 1))
  const tar = pack()
  const common = { mtime: epoch, uid: 0, gid: 0 }
  for (const entry of all) {
    if ('content' in entry)
      tar.entry({ ...common, name: entry.path, mode: entry.mode, size: entry.content.length }, entry.content)
    else if ('linkTo' in entry)
      tar.entry({ ...common, name: entry.path, type: 'symlink', linkname: entry.linkTo, mode: 0o777 })
    else tar.entry({ ...common, name: `${entry.path}/`, type: 'directory', mode: entry.directoryMode })
  }
  tar.finalize()
  return buffer(tar)
}

export async function layerOf(entries: readonly Entry[]): Promise<Layer> {
  const tar = await tarOf(entries)
  const blob = gzipSync(tar, { level: 6 })
  return { blob, digest: digestOf(blob), diffId: digestOf(tar) }
}

/** The entries and every directory above them that is not among them. */
function withParents(entries: readonly Entry[]): Entry[] {
  const known = new Map(entries.map(entry => [entry.path, entry]))
  if (known.size !== entries.length) {
    const twice = entries.find((entry, i) => entries.findIndex(e => e.path === entry.path) !== i)
    throw new Error(`${twice?.path} is twice in one layer`)
  }
  for (const { path } of entries) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join('/')
      if (!known.has(parent)) known.set(parent, { path: parent, directoryMode: 0o755 })
    }
  }
  return [...known.values()]
}
