import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cyclesAmong, type Import, importsOf } from './imports.ts'
import { filesMatching } from './tree.ts'

const sources = filesMatching(['packages/*/src/**/*.ts'])
const production = sources.filter(path => !/\.(test|testing|bench)\.ts$/.test(path))
const imports = production.flatMap(importsOf)
const packageOf = (path: string) => path.split('/')[1]!
const show = (bad: readonly Import[]) => bad.map(i => `${i.from} imports ${i.specifier}`)

/** Which of our packages a package may import. */
const mayImport: Record<string, readonly string[]> = {
  shared: [],
  collector: ['shared'],
  aggregator: ['shared'],
  cli: ['shared', 'collector', 'aggregator'],
}

/** Folders that compute and nothing else: time, randomness and input come in as arguments. */
const pureFolders = [
  'packages/shared/src/record',
  'packages/collector/src/batch',
  'packages/collector/src/spool',
  'packages/aggregator/src/ingest',
  'packages/aggregator/src/join',
  'packages/aggregator/src/partition',
  'packages/aggregator/src/topology',
  'packages/aggregator/src/resolve',
  'packages/cli/src/flow-lines',
  'packages/aggregator/src/export/oap/interval',
  'packages/aggregator/src/export/otlp',
]
/** Data structures that pure code may use: they touch nothing outside themselves. */
const pureLibraries = ['@skybraid/shared', 'lru-cache']
const isPure = (path: string) => pureFolders.some(folder => path.startsWith(`${folder}/`))

describe('import graph', () => {
  it('covers the packages that exist', () => {
    expect([...new Set(production.map(packageOf))].sort()).toEqual(Object.keys(mayImport).sort())
    expect(imports.length).toBeGreaterThan(50)
  })

  it('lets a package import only those of ours that it may, by their public name', () => {
    const bad = imports.filter(({ from, specifier }) => {
      const ours = /^@skybraid\/([^/]+)(\/.*)?$/.exec(specifier)
      if (ours === null) return false
      const [, name, deep] = ours
      const allowed = mayImport[packageOf(from)]!.includes(name!)
      return !allowed || (deep !== undefined && /\/(src|dist)(\/|$)/.test(deep))
    })
    expect(show(bad)).toEqual([])
  })

  it('has no relative import that leaves its package, but for the addon', () => {
    const bad = imports.filter(({ from, file }) => {
      if (file === undefined || file.startsWith(`packages/${packageOf(from)}/`)) return false
      return !from.startsWith('packages/collector/src/source/') || !file.startsWith('native/')
    })
    expect(show(bad)).toEqual([])
  })

  it('lets only collector/src/source and aggregator/src/native load a native library', () => {
    const loaders = ['packages/collector/src/source/', 'packages/aggregator/src/native/']
    const bad = imports.filter(
      ({ from, file, specifier }) =>
        /\.node$|native\/|node:module/.test(specifier) &&
        !loaders.some(folder => from.startsWith(folder) || file?.startsWith(folder)),
    )
    expect(show(bad)).toEqual([])
  })

  it('keeps the pure folders pure: pure files of the package, shared, data structures', () => {
    const bad = imports.filter(({ from, specifier, file }) => {
      if (!isPure(from)) return false
      if (file === undefined) return !pureLibraries.includes(specifier)
      return !isPure(file) && posix.dirname(file) !== `packages/${packageOf(from)}/src`
    })
    expect(show(bad)).toEqual([])
  })

  it('writes relative imports with their extension', () => {
    expect(show(imports.filter(i => i.file !== undefined && !/\.(ts|js|node|json)$/.test(i.file)))).toEqual(
      [],
    )
  })

  it('has no import cycle', () => {
    expect(cyclesAmong(production)).toEqual([])
  })
})
