import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { filesMatching, readSource } from './tree.ts'

const typescript = filesMatching(['packages/*/src/**/*.ts', 'test/**/*.ts', 'native/**/*.ts', 'bpf/**/*.ts'])
const native = filesMatching(['bpf/**/*.{c,h}', 'native/**/*.{cc,h}'])
const all = [...typescript, ...native].filter(path => !/vmlinux.*\.h$|\.skel\.h$/.test(path))
const isTest = (path: string) => /[._]test(ing)?\.(ts|cc)$/.test(path) || path.startsWith('test/')
const longest = (path: string) => (isTest(path) ? 600 : 400) + (path.endsWith('.ts') ? 0 : 200)

describe('source files', () => {
  it('are found', () => {
    expect(typescript.length).toBeGreaterThan(20)
    expect(native.length).toBeGreaterThan(2)
  })

  it('hold one concept: below 400 lines, tests below 600, C and C++ 200 more', () => {
    const long = all
      .map(path => ({ path, lines: readSource(path).split('\n').length }))
      .filter(({ path, lines }) => lines > longest(path))
    expect(long).toEqual([])
  })

  it('are named after what they hold', () => {
    const vague = /^(utils?|helpers?|common|misc|types|lib|stuff)\.(ts|cc|c|h)$/
    expect(all.filter(path => vague.test(basename(path)))).toEqual([])
  })

  it('have names in kebab-case (TypeScript) or snake_case (C and C++)', () => {
    const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|testing|property|regression|bench|figures|d|config))*\.ts$/
    const snake = /^[a-z0-9]+(_[a-z0-9]+)*(\.bpf)?\.(c|cc|h)$/
    expect(typescript.filter(path => !kebab.test(basename(path)))).toEqual([])
    expect(native.filter(path => !snake.test(basename(path)))).toEqual([])
  })

  it('export by name only', () => {
    const allowed = /\.config\.ts$/
    const bad = typescript.filter(path => !allowed.test(path) && /^export default\b/m.test(readSource(path)))
    expect(bad).toEqual([])
  })
})
