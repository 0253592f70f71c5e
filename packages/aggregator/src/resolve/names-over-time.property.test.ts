import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wordsOfText } from './address-text.ts'
import { createKubeNames, type KubeNames } from './kube-names.ts'
import type { KubeNode, KubePod, KubeService, KubeSlice } from './kube-object.ts'

const day = Date.UTC(2026, 0, 1)
const minute = 60_000

let versions = 0
const common = (uid: string) => ({ uid, version: String(1000 + ++versions), namespace: 'shop', name: uid })

function service(uid: string, createdMs: number, has: Partial<KubeService> = {}): KubeService {
  const nothing = { clusterAddresses: [], externalAddresses: [], externalName: '', nodePorts: [] }
  return { kind: 'service', ...common(uid), ...nothing, createdMs, ...has }
}

function node(uid: string, createdMs: number, ...addresses: string[]): KubeNode {
  return { kind: 'node', ...common(uid), zone: '', addresses, podRanges: [], createdMs }
}

function slice(
  uid: string,
  of: string,
  podUids: readonly string[],
  addresses: readonly string[] = [],
): KubeSlice {
  return { kind: 'slice', ...common(uid), service: of, podUids, addresses, createdMs: day }
}

function pod(uid: string, has: Partial<KubePod> = {}): KubePod {
  const plain = {
    node: 'n1',
    hostNetwork: false,
    addresses: [],
    labels: [],
    owner: undefined,
    configHash: '',
  }
  const times = { startedMs: day, runningMs: day, endedMs: undefined }
  const state = { containers: [], deleting: false, runsToCompletion: false }
  return { kind: 'pod', ...common(uid), ...plain, ...state, ...times, ...has }
}

/** Who had an address at a time, by name; undefined where nobody is named. */
function holder(names: KubeNames, address: string, atMs: number): string | undefined {
  const { w0, w1, w2, w3 } = wordsOfText(address)!
  const claim = names.claimAt(w0, w1, w2, w3, atMs)
  return claim && names.identityOfClaim(claim).name
}

const serviceOf = (names: KubeNames, podUid: string) =>
  names.identityOfProcess({
    kind: 'process',
    host: 'n1',
    podUid,
    process: '',
    unit: '',
    containerId: '',
    cgroup: '',
    address: '',
  })?.service

describe('an address of a service, a node or an endpoint', () => {
  const x = '203.0.113.7'

  it('goes with a load balancer from a younger service to an older one', () => {
    const names = createKubeNames()
    const [a, b, atMs] = [day + 2 * minute, day, day + 60 * minute]
    names.index.put(service('a', a, { externalAddresses: [x] }), a)
    names.index.put(service('b', b), a)
    names.index.put(service('a', a), atMs, atMs)
    names.index.put(service('b', b, { externalAddresses: [x] }), atMs + 100, atMs)
    expect([holder(names, x, atMs - minute), holder(names, x, atMs + minute)]).toEqual(['a', 'b'])
    // from the service's creation on it could have had it, and somebody else had
    expect(holder(names, x, a + minute)).toBe('a')
  })

  it('comes back to the service that had it before', () => {
    const names = createKubeNames()
    for (let turn = 0; turn < 3; turn++) {
      const atMs = day + turn * 10 * minute
      names.index.put(service('a', day, { externalAddresses: turn % 2 === 0 ? [x] : [] }), atMs, atMs)
    }
    expect([5, 15, 25].map(m => holder(names, x, day + m * minute))).toEqual(['a', undefined, 'a'])
  })

  it('of a node that came back with another one is the node’s that has it now', () => {
    const names = createKubeNames()
    const atMs = day + 60 * minute
    names.index.put(node('young', day + minute, '192.0.2.1'), day + minute)
    names.index.put(node('old', day, '192.0.2.2'), day + minute)
    names.index.put(node('young', day + minute, '192.0.2.9'), atMs, atMs)
    names.index.put(node('old', day, '192.0.2.1'), atMs + 100, atMs)
    const at = (ms: number) =>
      ['192.0.2.1', '192.0.2.2', '192.0.2.9'].map(address => holder(names, address, ms))
    expect(at(atMs - minute)).toEqual(['young', 'old', undefined])
    expect(at(atMs + minute)).toEqual(['old', undefined, 'young'])
  })

  it('is nobody’s once its endpoint was taken out of the slice', () => {
    const names = createKubeNames()
    names.index.put(slice('s', 'db', [], [x]), day)
    names.index.put(slice('s', 'db', []), day + minute, day + minute)
    expect([holder(names, x, day + 1000), holder(names, x, day + 2 * minute)]).toEqual(['db', undefined])
  })

  it('is forgotten with the time in which it was held', () => {
    const names = createKubeNames()
    for (let turn = 0; turn < 100; turn++) {
      const atMs = day + turn * minute
      names.index.put(service('a', day, { externalAddresses: [`203.0.113.${turn}`] }), atMs, atMs)
    }
    names.index.forget(day + 90 * minute)
    expect(names.index.claims.size).toBeLessThan(15)
    expect(holder(names, '203.0.113.99', day + 200 * minute)).toBe('a')
  })
})

describe('any service that hands addresses, ports and names on', () => {
  const step = 10_000

  it('is named for what it had, and for nothing that it did not have', () => {
    const turns = fc.array(fc.record({ who: fc.nat(3), has: fc.nat(3) }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(turns, fc.array(fc.nat(9), { minLength: 4, maxLength: 4 }), (moves, ages) => {
        const names = createKubeNames()
        const things = (n: number): Partial<KubeService> => ({
          externalAddresses: [`203.0.113.${n}`],
          nodePorts: [30_000 + n],
          externalName: `db-${n}.example`,
        })
        const holders: (number | undefined)[] = [undefined, undefined, undefined]
        const history: (number | undefined)[][] = []
        const createdMs = (who: number) => day - ages[who]! * minute
        const put = (who: number, atMs: number) => {
          const has = holders.indexOf(who)
          names.index.put(service(`s${who}`, createdMs(who), has < 0 ? {} : things(has)), atMs, atMs)
        }
        for (let who = 0; who < 4; who++) put(who, day)
        moves.forEach(({ who, has }, turn) => {
          const atMs = day + (turn + 1) * step
          const had = holders.indexOf(who)
          if (had >= 0) holders[had] = undefined
          const other = has < 3 ? holders[has] : undefined
          if (has < 3) holders[has] = who
          if (other !== undefined) put(other, atMs)
          put(who, atMs)
          history.push([...holders])
        })
        history.forEach((truth, turn) => {
          const atMs = day + (turn + 1) * step + step / 2
          truth.forEach((who, n) => {
            const name = who === undefined ? undefined : `s${who}`
            expect(holder(names, `203.0.113.${n}`, atMs)).toBe(name)
            expect(names.identityOfNodePort(30_000 + n, atMs)?.name).toBe(name)
            expect(names.identityOfDnsName(`db-${n}.example`, atMs)?.name).toBe(name)
          })
        })
      }),
    )
  })
})

describe('the service of a pod', () => {
  it('is the one that it stands behind now, also after a switch from one to another', () => {
    const names = createKubeNames()
    names.index.put(pod('p'), day)
    names.index.put(slice('b-1', 'blue', ['p']), day)
    expect(serviceOf(names, 'p')).toBe('blue')
    names.index.put(slice('g-1', 'green', ['p']), day + minute)
    names.index.put(slice('b-1', 'blue', []), day + minute)
    expect(serviceOf(names, 'p')).toBe('green')
    names.index.gone('slice', 'g-1', day + 2 * minute)
    expect(serviceOf(names, 'p')).toBe('')
  })

  it('stays while another slice of the service has the pod', () => {
    const names = createKubeNames()
    names.index.put(pod('p'), day)
    names.index.put(slice('w-4', 'web', ['p']), day)
    names.index.put(slice('w-6', 'web', ['p']), day)
    names.index.put(slice('w-4', 'web', []), day + minute)
    expect(serviceOf(names, 'p')).toBe('web')
  })

  it.each(['the pod', 'the slice'])(
    'stays the pod’s when it ends, whichever is heard of first: %s',
    first => {
      const names = createKubeNames()
      names.index.put(pod('p'), day)
      names.index.put(slice('w-1', 'web', ['p']), day)
      const endMs = day + 5 * minute
      const events = [
        () => names.index.gone('pod', 'p', endMs),
        () => names.index.put(slice('w-1', 'web', []), endMs + 50),
      ]
      for (const happens of first === 'the pod' ? events : events.reverse()) happens()
      expect(serviceOf(names, 'p')).toBe('web')
    },
  )
})
