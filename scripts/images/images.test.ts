import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type BuiltImage, buildImages, writeRoot } from './build.ts'

const dockerfile = readFileSync(new URL('./Dockerfile', import.meta.url), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'skybraid-images-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What a builder would find in an archive. */
function readArchive(archive: string) {
  const read = (path: string) => execFileSync('tar', ['-xOf', archive, path], { maxBuffer: 2 ** 28 })
  const blob = (digest: string) => read(`blobs/${digest.replace(':', '/')}`)
  const index = JSON.parse(read('index.json').toString())
  const manifest = JSON.parse(blob(index.manifests[0].digest).toString())
  return {
    layers: (manifest.layers as { digest: string }[]).map(layer => blob(layer.digest)),
    config: JSON.parse(blob(manifest.config.digest).toString()).config as {
      Entrypoint: string[]
      User: string
      Env: string[]
    },
  }
}

const filesOf = (archive: string) =>
  readArchive(archive).layers.flatMap(layer =>
    execFileSync('tar', ['-tzf', '-'], { input: layer, encoding: 'utf8' }).trim().split('\n'),
  )

/** Mode, digest and path of everything below a folder. */
function contentOf(below: string): string[] {
  const print = `find . -mindepth 1 -printf '%M ' \\( -type f -exec sha256sum {} \\; -o -print \\)`
  return execFileSync('sh', ['-c', print], { cwd: below, encoding: 'utf8' }).trim().split('\n').sort()
}

/** What the Dockerfile says of a target, in the words of an image's configuration. */
function targetOf(name: string) {
  const stage = dockerfile.split(/^FROM /m).find(text => text.startsWith(`scratch AS ${name}\n`))!
  const word = (instruction: string) => new RegExp(`^${instruction} (.*)$`, 'm').exec(stage)![1]!
  return {
    copied: word('COPY'),
    config: { Entrypoint: JSON.parse(word('ENTRYPOINT')), User: word('USER'), Env: word('ENV').split(' ') },
  }
}

const names = ['collector', 'aggregator'] as const
const [first, second] = [join(folder, 'a'), join(folder, 'b')]
let built: readonly BuiltImage[]
beforeAll(async () => {
  built = await buildImages(names, first, 'skybraid.local')
}, 600_000)

it('makes the same bytes twice, small enough, without a shell or a package manager', {
  timeout: 600_000,
}, async () => {
  const again = await buildImages(names, second, 'skybraid.local')
  expect(again.map(image => image.digest)).toEqual(built.map(image => image.digest))
  for (const image of ['collector.tar', 'aggregator.tar', 'collector.cdx.json', 'aggregator.cdx.json'])
    expect(readFileSync(join(second, image)).equals(readFileSync(join(first, image)))).toBe(true)

  const [collector, aggregator] = built
  expect(collector!.compressedBytes).toBeLessThan(60e6)
  expect(aggregator!.compressedBytes).toBeLessThan(70e6)
  for (const { archive } of built) {
    const files = filesOf(archive)
    expect(files).toContain('usr/bin/node')
    expect(files.filter(path => /\/(sh|bash|busybox|dash|apt|dpkg|npm|pnpm)$/.test(path))).toEqual([])
  }
  const bill = JSON.parse(readFileSync(collector!.sbom, 'utf8')) as { components: { name: string }[] }
  expect(bill.components.map(c => c.name)).toEqual(
    expect.arrayContaining(['node', 'libbpf.so.1', 'skybraid']),
  )
})

it.each(names)(
  'puts the same into the archive of the %s as the Dockerfile does',
  { timeout: 600_000 },
  async name => {
    const [written, unpacked] = [join(folder, `${name}-written`), join(folder, `${name}-unpacked`)]
    await writeRoot(name, written)
    const { layers, config } = readArchive(join(first, `${name}.tar`))
    mkdirSync(unpacked)
    for (const layer of layers)
      execFileSync('tar', ['-xzpf', '-', '-C', unpacked, '--no-same-owner'], { input: layer })
    expect(contentOf(written)).toEqual(contentOf(unpacked))

    const target = targetOf(name)
    expect(dockerfile).toContain(`npm run images -- --root /out/${name} ${name}`)
    expect(target.copied).toBe(`--from=build /out/${name}/ /`)
    expect(config).toMatchObject(target.config)
  },
)
