import { describe, expect, it } from 'vitest'
import { nodeConflict, parseNodeSpec } from './node-spec.ts'

describe('parseNodeSpec', () => {
  it('splits at the first equals sign', () => {
    expect(parseNodeSpec('a.b-1=/sys/fs/cgroup/x=y')).toEqual({
      name: 'a.b-1',
      cgroupPath: '/sys/fs/cgroup/x=y',
    })
  })

  it.each(['a', '=/x', 'a b=/x', `${'n'.repeat(64)}=/x`, 'a>=/x', 'a=relative'])(
    'refuses %s with a sentence',
    text => {
      expect(parseNodeSpec(text)).toEqual(expect.stringContaining('--node'))
    },
  )
})

describe('nodeConflict', () => {
  const node = (name: string, cgroupPath: string) => ({ name, cgroupPath })

  it('accepts neighbours, also where one name begins like the other', () => {
    expect(nodeConflict([node('a', '/c/n1'), node('b', '/c/n10')])).toBeUndefined()
  })

  it('refuses equal names, and nested directories, which would count traffic twice', () => {
    expect(nodeConflict([node('a', '/c/1'), node('a', '/c/2')])).toContain('twice')
    expect(nodeConflict([node('a', '/c'), node('b', '/c/2/')])).toContain('overlap')
    expect(nodeConflict([node('a', '/c/2'), node('b', '/')])).toContain('overlap')
  })
})
