import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createKubeWorld, worldMs } from '../topology/kube-world.testing.ts'
import { addressText, wordsOfBytes, wordsOfText } from './address-text.ts'
import { kernelGroupings as groupings } from './entity-grouping.ts'
import { createEntityIndex } from './entity-index.ts'
import { v4MappedWord } from './entity-source.ts'
import { idSegment } from './readable-id.ts'

const none = { cgroup: '', podUid: '', containerId: '', unit: '', process: '', pid: 0 }
const v4 = (a: number, b: number, c: number, d: number) => (a | (b << 8) | (c << 16) | (d << 24)) >>> 0

describe('createEntityIndex', () => {
  it('folds a process by every grouping, and says what it stands for', () => {
    const index = createEntityIndex()
    const node = index.node('n1')
    const containerId = '0123456789abcdef0123456789abcdef'
    const both = index.ofOwner(node, { ...none, process: 'nginx', unit: 'docker-01.scope', containerId })
    const unit = index.ofOwner(node, { ...none, process: 'sshd', unit: 'ssh.service' })
    const bare = index.ofOwner(node, { ...none, process: 'curl' })
    const unknown = index.ofOwner(node, none)
    const ids = (id: number) => groupings.map(g => index.group(id, g, 0).id)
    expect(ids(both)).toEqual([
      'host/n1/container:0123456789ab/nginx',
      'host/n1/container:0123456789ab',
      'host/n1/docker-01.scope',
      'host/n1',
    ])
    expect(ids(unit)).toEqual([
      'host/n1/ssh.service/sshd',
      'host/n1/ssh.service/sshd',
      'host/n1/ssh.service',
      'host/n1',
    ])
    expect(ids(bare)).toEqual(['host/n1/-/curl', 'host/n1/-/curl', 'host/n1/-/curl', 'host/n1'])
    expect(ids(unknown)).toEqual(['host/n1', 'host/n1', 'host/n1', 'host/n1'])
    expect(index.group(both, 'process', 0).parent).toBe('host/n1/container:0123456789ab')
  })

  it('interns without regard to the process id, and counts what is over the cap', () => {
    const index = createEntityIndex({ maxEntities: 2 })
    const node = index.node('n1')
    expect(index.ofOwner(node, { ...none, process: 'a', pid: 1 })).toBe(
      index.ofOwner(node, { ...none, process: 'a', pid: 2 }),
    )
    expect(index.ofAddress(node, 0, 0, v4MappedWord, v4(1, 2, 3, 4), 0)).toBe(1)
    expect(index.ofAddress(node, 0, 0, v4MappedWord, v4(1, 2, 3, 4), 0)).toBe(1)
    expect(index.ofAddress(node, 0, 0, v4MappedWord, v4(1, 2, 3, 5), 0)).toBe(-1)
    expect(index.ofOwner(node, { ...none, process: 'b' })).toBe(-1)
    expect(index.stats().capped).toBe(2)
  })

  it('gives an address the name it had at the time', () => {
    const index = createEntityIndex()
    const node = index.node('n1')
    const address = index.ofAddress(node, 0, 0, v4MappedWord, v4(9, 9, 9, 9), 0)
    const at = (ms: number) => index.group(address, 'process', ms)
    index.learnName(node, Uint8Array.of(9, 9, 9, 9), 'New.Example.', 2000)
    index.learnName(node, Uint8Array.of(9, 9, 9, 9), 'old.example', 1000)
    expect(at(999)).toMatchObject({ id: 'outside/9.9.9.9', foundBy: 'address' })
    expect(at(1999)).toMatchObject({ id: 'outside/old.example', foundBy: 'dns' })
    expect(at(2000)).toMatchObject({ id: 'outside/new.example', foundBy: 'dns' })
  })

  it('keeps the revision of older times when only newer names are learned', () => {
    const index = createEntityIndex()
    const node = index.node('n1')
    index.ofAddress(node, 0, 0, v4MappedWord, v4(9, 9, 9, 9), 0)
    const before = index.revisionAt(5000)
    index.learnName(node, Uint8Array.of(9, 9, 9, 9), 'a.example', 6000)
    expect(index.revisionAt(5000)).toBe(before)
    expect(index.revisionAt(6000)).not.toBe(before)
    const now = index.revisionAt(6000)
    index.learnName(node, Uint8Array.of(9, 9, 9, 9), 'a.example', 7000)
    expect(index.revisionAt(8000)).toBe(now)
  })

  it('knows whose own address it is: this node first, then the one that used it last, never a guess', () => {
    const index = createEntityIndex()
    const [a, b, c] = ['a', 'b', 'c'].map(n => index.node(n))
    const words = [0, 0, v4MappedWord, v4(172, 17, 0, 2)] as const
    const seenFrom = (node: number, ms: number) =>
      index.group(index.ofAddress(node, ...words, 0), 'process', ms).id
    index.learnLocal(a, -1, ...words, 1000)
    expect(seenFrom(c, 2000)).toBe('host/a')
    index.learnLocal(b, -1, ...words, 3000)
    expect(seenFrom(c, 4000)).toBe('host/b')
    expect(seenFrom(a, 4000)).toBe('host/a')
    index.learnLocal(a, -1, ...words, 3500)
    expect(seenFrom(c, 4000)).toBe('outside/172.17.0.2')
    expect(seenFrom(b, 4000)).toBe('host/b')
  })

  it('takes an address of a node that Kubernetes does not name for the node, but none that a pod uses or ever had', () => {
    const world = createKubeWorld()
    const { index } = world
    world.node('n1', 'z1', '192.168.0.1')
    const call = { namespace: 'a', workload: 'w', node: 'n1' }
    const pod = world.pod({ ...call, name: 'p', address: '10.1.0.2' })
    const kubelet = world.process('n1', 'kubelet')
    const unknown = index.ofOwner(index.node('n1'), { ...none, process: 'who' })
    const named = (address: string) => {
      const id = world.address('n1', address)
      return index.group(id, 'workload', worldMs + 1000).id
    }
    const learn = (owner: number, address: string) => {
      const { w0, w1, w2, w3 } = wordsOfText(address)!
      index.learnLocal(index.node('n1'), owner, w0, w1, w2, w3, worldMs)
    }
    for (const owner of [kubelet, pod, unknown]) learn(owner, `10.1.0.${100 + owner}`)
    learn(kubelet, '10.1.0.2')
    expect(named(`10.1.0.${100 + kubelet}`)).toBe('node/n1')
    expect(named(`10.1.0.${100 + pod}`)).toBe(`outside/10.1.0.${100 + pod}`)
    expect(named(`10.1.0.${100 + unknown}`)).toBe(`outside/10.1.0.${100 + unknown}`)
    expect(named('10.1.0.2')).toBe('workload/a/Deployment/w')
  })

  it('takes loopback and unspecified addresses for the node itself', () => {
    const index = createEntityIndex()
    const node = index.node('n1')
    const id = (...w: [number, number, number, number]) =>
      index.group(index.ofAddress(node, ...w, 0), 'process', 0).id
    expect(id(0, 0, v4MappedWord, v4(127, 1, 2, 3))).toBe('host/n1')
    expect(id(0, 0, 0, 0x01000000)).toBe('host/n1')
    expect(id(0, 0, 0, 0)).toBe('host/n1')
    expect(id(0xb80d0120, 0, 0, 0x01000000)).toBe('outside/2001:db8::1')
  })

  it('frees entities only when nobody used them for a whole sweep', () => {
    const index = createEntityIndex()
    const node = index.node('n1')
    const kept = index.ofOwner(node, { ...none, process: 'kept' })
    const gone = index.ofAddress(node, 0, 0, v4MappedWord, v4(1, 1, 1, 1), 0)
    index.sweep(id => id === kept)
    expect(index.entity(gone)).toBeDefined()
    index.sweep(id => id === kept)
    expect(index.entity(gone)).toBeUndefined()
    expect(index.entity(kept)?.process).toBe('kept')
    expect(index.ofAddress(node, 0, 0, v4MappedWord, v4(2, 2, 2, 2), 0)).toBe(gone)
  })
})

describe('nodes of an index', () => {
  it('come and go, far more than there may be at a time, and none is taken for another', () => {
    const index = createEntityIndex({ maxNodes: 8 })
    const stays = index.node('stays')
    const used = index.ofOwner(index.node('used'), { ...none, process: 'p' })
    for (let round = 0; round < 20; round++) {
      const name = `n${round}`
      const node = index.node(name)
      const id = index.ofOwner(node, { ...none, process: 'p' })
      expect(index.entity(id)?.host).toBe(name)
      index.learnLocal(node, id, 0, 0, v4MappedWord, v4(10, 0, 0, round), 1_000)
      index.sweep(each => each === used)
      expect(index.node('stays')).toBe(stays)
      index.sweep(each => each === used)
      // whoever still knows the number gets nothing under another's name
      expect(index.ofOwner(node, { ...none, process: 'p' })).toBe(-1)
      const seen = index.ofAddress(stays, 0, 0, v4MappedWord, v4(10, 0, 0, round), 2_000)
      expect(index.knowledge(seen, 2_000).localTo).toBeUndefined()
      index.node('stays')
    }
    expect(index.entity(used)?.host).toBe('used')
    expect(index.stats()).toMatchObject({ nodes: 2, capped: 0, isCrowded: false })
  })

  it('are refused while all are in use, and counted', () => {
    const index = createEntityIndex({ maxNodes: 2 })
    index.node('a')
    index.node('b')
    expect([index.node('c'), index.stats()]).toMatchObject([-1, { nodes: 2, capped: 1, isCrowded: true }])
    index.sweep(() => false)
    index.sweep(() => false)
    expect(index.node('c')).toBeGreaterThan(0)
  })
})

describe('addressText', () => {
  it('writes every address so that it reads back the same', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 }).map(a => Uint8Array.from(a)),
    )
    fc.assert(
      fc.property(bytes, b => {
        const words = wordsOfBytes(b)!
        expect(wordsOfText(addressText(words.w0, words.w1, words.w2, words.w3))).toEqual(words)
      }),
    )
  })

  it('refuses what is no address', () => {
    for (const text of ['', '1.2.3', '1.2.3.256', '01.2.3.4', ':::', '1::2::3', '1:2:3:4:5:6:7:8:9', 'g::'])
      expect(wordsOfText(text), text).toBeUndefined()
    expect(wordsOfBytes(new Uint8Array(5))).toBeUndefined()
  })
})

describe('idSegment', () => {
  it('makes different, bounded, harmless segments of any names', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 150 }),
        fc.string({ unit: 'binary', maxLength: 150 }),
        (a, b) => {
          const segment = idSegment(a)
          expect(segment).toMatch(/^[A-Za-z0-9._@+=,!%-]{1,128}$/)
          if (a.toWellFormed() !== b.toWellFormed()) expect(idSegment(b)).not.toBe(segment)
        },
      ),
      { numRuns: 30 },
    )
  }, 30_000)

  it('leaves ordinary names alone', () => {
    for (const name of ['nginx', 'dbus-daemon', 'user@1000.service', 'node_exporter'])
      expect(idSegment(name)).toBe(name)
    expect(idSegment('a/b->c#d')).toBe('a%2Fb-%3Ec%23d')
    expect(idSegment('')).toBe('-')
    expect(idSegment('-')).toBe('%2D')
  })
})
