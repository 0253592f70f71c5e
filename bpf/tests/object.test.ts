import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { beforeAll, describe, expect, it } from 'vitest'
import { build, whyNot } from './stage.ts'

const skip = whyNot()
const folder = new URL('..', import.meta.url).pathname

function run(program: string, ...args: string[]): unknown {
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 }))
}

interface BtfType {
  readonly kind: string
  readonly name: string
  readonly size?: number
  readonly members?: readonly { readonly name: string; readonly bits_offset: number }[]
}

beforeAll(() => {
  if (skip === undefined) build()
})

describe.skipIf(skip !== undefined)('the compiled programs', () => {
  it('lay out the shared rows as C++ does', () => {
    const layout = run(`${folder}build/layout`) as Record<string, Record<string, number>>
    const { types } = run('bpftool', '-j', 'btf', 'dump', 'file', `${folder}build/layout.bpf.o`) as {
      types: readonly BtfType[]
    }
    expect(Object.keys(layout).length).toBeGreaterThan(4)
    for (const [name, fields] of Object.entries(layout)) {
      const type = types.find(candidate => candidate.kind === 'STRUCT' && candidate.name === name)
      const inKernel = Object.fromEntries((type?.members ?? []).map(m => [m.name, m.bits_offset / 8]))
      expect({ size: type?.size, ...inKernel }, name).toEqual(fields)
    }
  })

  // After a deliberate change: UPDATE_VERIFIER_COST=1 writes the file anew.
  it("cost the kernel's verifier no more than is on record", () => {
    const file = `${folder}verifier-cost.json`
    const kernel = release().split('.').slice(0, 2).join('.')
    const programs = run(`${folder}build/verifier-cost`, `${folder}build/skybraid.bpf.o`) as Record<
      string,
      number
    >
    if (process.env.UPDATE_VERIFIER_COST === '1')
      writeFileSync(file, `${JSON.stringify({ kernel, programs }, undefined, 2)}\n`)
    const known = JSON.parse(readFileSync(file, 'utf8')) as {
      kernel: string
      programs: Record<string, number>
    }
    expect(Object.keys(programs).sort()).toEqual(Object.keys(known.programs).sort())
    for (const [name, cost] of Object.entries(programs)) {
      // Another kernel's verifier counts differently; the bound is then only that it stays far from the kernel's own.
      const bound = known.kernel === kernel ? (known.programs[name] ?? 0) * 1.1 : 100_000
      expect(cost, name).toBeLessThanOrEqual(bound)
      expect(cost, name).toBeGreaterThan(0)
    }
  })
})
