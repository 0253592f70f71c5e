import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { buildImages } from './build.ts'

const folder = mkdtempSync(join(tmpdir(), 'skybraid-images-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

const filesOf = (archive: string) => {
  const read = (path: string) => execFileSync('tar', ['-xOf', archive, path], { maxBuffer: 2 ** 28 })
  const blob = (digest: string) => read(`blobs/${digest.replace(':', '/')}`)
  const index = JSON.parse(read('index.json').toString())
  const manifest = JSON.parse(blob(index.manifests[0].digest).toString())
  return manifest.layers.flatMap((layer: { digest: string }) =>
    execFileSync('tar', ['-tzf', '-'], { input: blob(layer.digest), encoding: 'utf8' })
      .trim()
      .split('\n'),
  ) as string[]
}

it('makes the same bytes twice, small enough, without a shell or a package manager', {
  timeout: 600_000,
}, async () => {
  const [first, second] = [join(folder, 'a'), join(folder, 'b')]
  const built = await buildImages(['collector', 'aggregator'], first, 'skybraid.local')
  const again = await buildImages(['collector', 'aggregator'], second, 'skybraid.local')
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
