import { describe, expect, it } from 'vitest'
import { findProblems, type ProblemCode } from './preflight.ts'
import type { SystemFacts } from './system-facts.ts'

const good: SystemFacts = {
  uid: 0,
  effectiveCapabilities: 0x1ff_ffff_ffffn,
  kernelRelease: '6.1.0-18-amd64',
  btf: true,
  cgroup2Root: '/sys/fs/cgroup',
  cgroups: [],
  lockdown: 'none',
  listen: { address: '127.0.0.1:7100', answer: 'free', suggestion: '127.0.0.1:7101' },
}
const codes = (change: Partial<SystemFacts>): ProblemCode[] =>
  findProblems({ ...good, ...change }).map(problem => problem.code)
const listening = (answer: SystemFacts['listen']['answer']) => ({ listen: { ...good.listen, answer } })

describe('findProblems', () => {
  it('finds nothing on a machine that has everything', () => {
    expect(findProblems(good)).toEqual([])
  })

  const lacks: [string, Partial<SystemFacts>, ProblemCode][] = [
    ['a user without capabilities', { uid: 1000, effectiveCapabilities: 0n }, 'missing_capabilities'],
    [
      'a root that was denied CAP_BPF and CAP_SYS_ADMIN',
      { effectiveCapabilities: (1n << 12n) | (1n << 38n) },
      'missing_capabilities',
    ],
    ['a kernel before 5.15', { kernelRelease: '5.10.0-28-amd64' }, 'kernel_too_old'],
    ['a 4.x kernel with a large minor', { kernelRelease: '4.19.0' }, 'kernel_too_old'],
    ['a kernel without BTF', { btf: false }, 'no_btf'],
    ['a machine without cgroup2', { cgroup2Root: undefined }, 'no_cgroup2'],
    [
      'a node whose directory is no cgroup',
      { cgroups: [{ node: 'a', path: '/tmp', isCgroup2: false }] },
      'not_a_cgroup',
    ],
    ['a locked-down kernel', { lockdown: 'confidentiality' }, 'lockdown'],
    ['a taken port', listening('taken'), 'port_taken'],
    ['an address of another machine', listening('not_here'), 'address_not_here'],
    ['a privileged port', listening('refused'), 'port_refused'],
  ]

  it.each(lacks)('names %s', (_, change, code) => {
    expect(codes(change)).toEqual([code])
  })

  it.each(lacks)('says of %s in one sentence what still works and what to do', (_, change) => {
    const [problem] = findProblems({ ...good, ...change })
    expect(problem?.sentence).toMatch(/^[^\n]+\.$/)
    expect(problem?.sentence).toMatch(/work/)
    expect(problem?.sentence.split('; ').length).toBeGreaterThanOrEqual(3)
  })

  it('accepts CAP_SYS_ADMIN in place of CAP_BPF and CAP_PERFMON, and a user with the three capabilities', () => {
    expect(codes({ effectiveCapabilities: (1n << 21n) | (1n << 12n) })).toEqual([])
    expect(codes({ uid: 65_534, effectiveCapabilities: (1n << 39n) | (1n << 38n) | (1n << 12n) })).toEqual([])
  })

  it('wants CAP_NET_ADMIN for the packet hooks alone', () => {
    const facts = { ...good, effectiveCapabilities: (1n << 39n) | (1n << 38n) }
    const sentences = (packetHooks: boolean) =>
      findProblems(facts, undefined, { packetHooks }).map(({ sentence }) => sentence)
    expect(sentences(true)).toEqual([expect.stringContaining('CAP_NET_ADMIN')])
    expect(sentences(false)).toEqual([])
  })

  it('accepts lockdown=integrity, and kernels that do not say', () => {
    expect(codes({ lockdown: 'integrity' })).toEqual([])
    expect(codes({ lockdown: 'unknown' })).toEqual([])
  })

  it('does not need a mounted root when every node names its own cgroup', () => {
    expect(codes({ cgroup2Root: undefined, cgroups: [{ node: 'a', path: '/x', isCgroup2: true }] })).toEqual(
      [],
    )
  })

  it('reports several problems at once', () => {
    expect(codes({ btf: false, ...listening('taken') })).toEqual(['no_btf', 'port_taken'])
  })
})
