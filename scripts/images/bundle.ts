import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import type { Entry } from './layer.ts'

export interface Bundle {
  readonly files: readonly Entry[]
  /** Packages of npm that went into it, sorted by name. */
  readonly packages: readonly { readonly name: string; readonly version: string }[]
}

/** The built `skybraid` and all libraries as a few files, to lie in `folder` of the image. */
export async function bundleProgram(folder: string): Promise<Bundle> {
  const build = await rolldown({
    input: { main: 'packages/cli/dist/main.js' },
    platform: 'node',
    logLevel: 'silent',
  })
  const { output } = await build.generate({
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    comments: { legal: true },
  })
  await build.close()
  const chunks = output.filter(part => part.type === 'chunk')
  return {
    files: chunks.map(c => ({ path: `${folder}/${c.fileName}`, content: Buffer.from(c.code), mode: 0o644 })),
    packages: packagesOf(chunks.flatMap(c => c.moduleIds)),
  }
}

function packagesOf(moduleIds: readonly string[]): Bundle['packages'] {
  const folders = new Set<string>()
  for (const id of moduleIds) {
    if (!id.startsWith('/') || !id.includes('/node_modules/')) continue
    const [, folder] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id) ?? []
    if (folder) folders.add(folder)
  }
  const found = [...folders].map(folder => {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
      string,
      string
    >
    return { name: name!, version: version! }
  })
  const unique = new Map(found.map(p => [`${p.name}@${p.version}`, p]))
  return [...unique.keys()].sort().map(key => unique.get(key)!)
}
