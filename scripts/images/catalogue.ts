import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunConfig } from './archive.ts'
import { type Bundle, bundleProgram } from './bundle.ts'
import type { Entry } from './layer.ts'
import { type Library, librariesOf } from './libraries.ts'
import type { Component } from './sbom.ts'

export interface Image {
  readonly name: string
  /** Layers from the one that changes least; images share equal ones. */
  readonly layers: readonly (readonly Entry[])[]
  readonly run: RunConfig
  readonly components: readonly Component[]
}

const root = 'opt/skybraid'
const program = `${root}/packages/cli/dist`
const addon = 'native/build/skybraid.node'
const joinLibrary = 'native/build/join.node'
const unprivileged = '65532:65532'
export const imageNames = ['collector', 'aggregator', 'nats'] as const
export type ImageName = (typeof imageNames)[number]

/** What is in the images that are asked for. Nothing of them is a shell or installs anything. */
export async function imagesOf(names: readonly ImageName[]): Promise<Image[]> {
  const wantsNode = names.some(name => name !== 'nats')
  const node = wantsNode ? nodeBase() : undefined
  const bundle = wantsNode ? await bundleProgram(program) : undefined
  return names.map(name => {
    if (name === 'nats') return natsImage()
    return name === 'collector' ? collectorImage(node!, bundle!) : aggregatorImage(node!, bundle!)
  })
}

interface NodeBase {
  readonly entries: readonly Entry[]
  readonly components: readonly Component[]
  readonly paths: ReadonlySet<string>
}

const accounts: readonly Entry[] = [
  file('etc/passwd', 'root:x:0:0:root:/:/sbin/nologin\nskybraid:x:65532:65532::/:/sbin/nologin\n'),
  file('etc/group', 'root:x:0:\nskybraid:x:65532:\n'),
  file('etc/nsswitch.conf', 'hosts: files dns\n'),
  { path: 'tmp', directoryMode: 0o1777 },
]

/** Node without its symbols, which are a fifth of it and help nobody in a container. */
function nodeBase(): NodeBase {
  const folder = mkdtempSync(join(tmpdir(), 'skybraid-images-'))
  try {
    const stripped = join(folder, 'node')
    execFileSync('strip', ['--strip-all', '-o', stripped, 'node_modules/node/bin/node'])
    const version = execFileSync(stripped, ['--version'], { encoding: 'utf8' }).trim().slice(1)
    const libraries = librariesOf([stripped])
    const binary: Entry = { path: 'usr/bin/node', content: readFileSync(stripped), mode: 0o755 }
    return {
      entries: [...accounts, binary, ...libraries.map(l => l.entry)],
      components: [
        { type: 'application', name: 'node', version, purl: `pkg:npm/node@${version}` },
        ...debian(libraries),
      ],
      paths: new Set(libraries.map(l => l.entry.path)),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function collectorImage(node: NodeBase, bundle: Bundle): Image {
  const libraries = librariesOf([addon]).filter(l => !node.paths.has(l.entry.path))
  const object = 'bpf/build/skybraid.bpf.o'
  return {
    name: 'collector',
    layers: [
      node.entries,
      [
        ...ownFiles(bundle),
        ...libraries.map(l => l.entry),
        { path: `${root}/${addon}`, content: readFileSync(addon), mode: 0o755 },
        file(`${root}/${object}`, readFileSync(object)),
        file(`${root}/bpf/LICENSE`, readFileSync('bpf/LICENSE')),
      ],
    ],
    // the flags of scripts/skybraid.sh, for the same reasons; loading the programs needs uid 0 and three capabilities
    run: nodeRun(
      ['--max-semi-space-size=1', '--max-old-space-size=64', '--v8-pool-size=1'],
      'collector',
      '0:0',
      ['MALLOC_ARENA_MAX=1'],
    ),
    components: [...node.components, ...debian(libraries), ...npm(bundle), own()],
  }
}

function aggregatorImage(node: NodeBase, bundle: Bundle): Image {
  const libraries = librariesOf([joinLibrary]).filter(l => !node.paths.has(l.entry.path))
  const page = 'packages/aggregator/src/api/page'
  return {
    name: 'aggregator',
    layers: [
      node.entries,
      [
        ...ownFiles(bundle),
        ...filesBelow(page, `${program}/page`),
        // five folders above the bundle, which is where it looks
        ...filesBelow('proto', 'proto'),
        ...libraries.map(l => l.entry),
        { path: `${root}/${joinLibrary}`, content: readFileSync(joinLibrary), mode: 0o755 },
      ],
    ],
    // as in scripts/skybraid.sh
    run: nodeRun(['--max-semi-space-size=8'], 'aggregator', unprivileged),
    components: [...node.components, ...debian(libraries), ...npm(bundle), own()],
  }
}

function natsImage(): Image {
  const path = execFileSync('bash', ['scripts/nats-programs.sh', 'server'], { encoding: 'utf8' }).trim()
  const version = /v(\d+\.\d+\.\d+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))![1]!
  return {
    name: 'nats',
    layers: [
      [
        ...accounts,
        { path: 'nats-server', content: readFileSync(path), mode: 0o755 },
        { path: 'data', directoryMode: 0o1777 },
        ...librariesOf(isDynamic(path) ? [path] : []).map(l => l.entry),
      ],
    ],
    run: { entrypoint: ['/nats-server'], user: unprivileged },
    components: [
      {
        type: 'application',
        name: 'nats-server',
        version,
        purl: `pkg:golang/github.com/nats-io/nats-server/v2@v${version}`,
      },
    ],
  }
}

const isDynamic = (path: string) => readFileSync(path).includes('/lib64/ld-linux')

function nodeRun(
  flags: readonly string[],
  command: string,
  user: string,
  env: readonly string[] = [],
): RunConfig {
  return {
    entrypoint: ['/usr/bin/node', ...flags, `/${program}/main.js`, command],
    user,
    env: ['PATH=/usr/bin', 'NODE_ENV=production', ...env],
  }
}

const ownFiles = (bundle: Bundle): Entry[] => [
  ...bundle.files,
  file(`${root}/packages/cli/package.json`, readFileSync('packages/cli/package.json')),
  file(`${root}/LICENSE`, readFileSync('LICENSE')),
]

export const ownVersion = () =>
  (JSON.parse(readFileSync('packages/cli/package.json', 'utf8')) as { version: string }).version

const own = (): Component => {
  const version = ownVersion()
  return { type: 'application', name: 'skybraid', version, purl: `pkg:generic/skybraid@${version}` }
}

const npm = ({ packages }: Bundle): Component[] =>
  packages.map(({ name, version }) => ({
    type: 'library',
    name,
    version,
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
  }))

const debian = (libraries: readonly Library[]): Component[] =>
  libraries.map(({ entry, from }) => ({
    type: 'library',
    name: entry.path.slice(entry.path.lastIndexOf('/') + 1),
    ...(from && {
      version: from.version,
      purl: `pkg:deb/debian/${from.name}@${encodeURIComponent(from.version)}`,
    }),
  }))

function file(path: string, content: string | Buffer): Entry {
  return { path, content: Buffer.from(content), mode: 0o644 }
}

function filesBelow(folder: string, target: string): Entry[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !/\.test\.|\.ts$/.test(entry.name))
    .map(entry => {
      const path = join(entry.parentPath, entry.name)
      return file(join(target, path.slice(folder.length + 1)), readFileSync(path))
    })
}
