import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { capabilitiesIn, cgroup2RootIn, lockdownIn, readSystemFacts } from './system-facts.ts'

describe('cgroup2RootIn', () => {
  it('finds the mount of the whole hierarchy beside cgroup v1 mounts and partial ones', () => {
    const mountinfo = [
      '31 24 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755',
      '32 31 0:28 /a/b /mnt/part rw - cgroup2 cgroup2 rw',
      '33 31 0:28 / /sys/fs/cgroup/uni\\040fied rw,nosuid shared:9 - cgroup2 cgroup2 rw',
      '34 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu',
    ].join('\n')
    expect(cgroup2RootIn(mountinfo)).toBe('/sys/fs/cgroup/uni fied')
  })

  it('is undefined with cgroup v1 alone', () => {
    expect(cgroup2RootIn('34 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n')).toBeUndefined()
  })
})

describe('lockdownIn', () => {
  it('reads the level in brackets', () => {
    expect(lockdownIn('none [integrity] confidentiality\n')).toBe('integrity')
    expect(lockdownIn('')).toBe('unknown')
  })
})

describe('capabilitiesIn', () => {
  it('reads the effective set', () => {
    expect(capabilitiesIn('CapPrm:\t0000000000000001\nCapEff:\t000000c000001000\n')).toBe(0xc000001000n)
    expect(capabilitiesIn('')).toBe(0n)
  })
})

describe('readSystemFacts', () => {
  it('tells a free port, a taken one and an address of nobody here', async () => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const ask = async (host: string, wanted: number) =>
      (await readSystemFacts({ host, port: wanted }, [])).listen
    expect(await ask('127.0.0.1', port)).toEqual({
      address: `127.0.0.1:${port}`,
      answer: 'taken',
      suggestion: `127.0.0.1:${port + 1}`,
    })
    await new Promise(resolve => server.close(resolve))
    expect((await ask('127.0.0.1', port)).answer).toBe('free')
    expect((await ask('192.0.2.1', port)).answer).toBe('not_here')
  })

  it('sees that a plain folder and a missing one are no cgroups', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'skybraid-facts-'))
    const nodes = [
      { name: 'a', cgroupPath: folder },
      { name: 'b', cgroupPath: join(folder, 'missing') },
    ]
    const facts = await readSystemFacts({ host: '127.0.0.1', port: 0 }, nodes)
    rmSync(folder, { recursive: true })
    expect(facts.cgroups.map(c => c.isCgroup2)).toEqual([false, false])
  })
})
