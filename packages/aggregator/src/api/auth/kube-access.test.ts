import pino from 'pino'
import { describe, expect, it } from 'vitest'
import type { AccessReviews, KubeUser } from '../../kube/access-reviews.ts'
import { createKubeAccess, reviewLimits } from './kube-access.ts'

const log = pino({ level: 'silent' })

interface World {
  readonly users: Readonly<Record<string, readonly string[]>>
  readonly namespaces: string[]
  away: boolean
  nowMs: number
  readonly asked: string[]
}

/** Answers from a list, as the API server would; what the real one answers is tested with it. */
function reviewsOf(world: World): AccessReviews {
  const ask = async <T>(question: string, answer: () => T): Promise<T> => {
    world.asked.push(question)
    if (world.away) throw new Error('connect ECONNREFUSED')
    return answer()
  }
  const rightsOf = ({ username }: KubeUser) => world.users[username] ?? []
  return {
    userOf: token =>
      ask('who', () => {
        const username = token.split('.')[0]!
        return world.users[username] && { username, uid: 'u', groups: ['g'], extra: {} }
      }),
    mayListPods: (user, namespace) =>
      ask(`list ${namespace}`, () => rightsOf(user).includes(namespace || '*')),
    mayGet: (user, path) => ask(`get ${path}`, () => rightsOf(user).includes(path)),
  }
}

function access(users: World['users'], namespaces = ['a', 'b']) {
  const world: World = { users, namespaces, away: false, nowMs: 1_000_000, asked: [] }
  const accessOf = createKubeAccess({
    reviews: reviewsOf(world),
    namespaces: () => world.namespaces,
    log,
    nowMs: () => world.nowMs,
  })
  const viewerOf = (token: string, address = '10.0.0.7') => accessOf(token, address)
  return { world, viewerOf }
}

const jwt = (user: string, exp: number) =>
  `${user}.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.signature`

describe('who Kubernetes lets see what', () => {
  it('is everything for those who may list pods everywhere, and their namespaces for others', async () => {
    const { viewerOf, world } = access({ admin: ['*'], team: ['b'], nobody: [] })
    expect((await viewerOf('admin')).scope).toBeUndefined()
    expect((await viewerOf('team')).scope).toEqual({ namespaces: ['b'] })
    expect((await viewerOf('nobody')).scope).toEqual({ namespaces: [] })
    world.namespaces.push('c')
    expect((await viewerOf('team')).scope).toEqual({ namespaces: ['b'] })
    await expect(viewerOf('stranger')).rejects.toMatchObject({ status: 401 })
  })

  it('may read what tells of all nodes by a right of its own, or by one to everything', async () => {
    const { viewerOf } = access({ admin: ['*'], prometheus: ['/metrics'], team: ['b'] })
    const may = async (who: string) => {
      const viewer = await viewerOf(who)
      return [await viewer.mayRead('/metrics'), await viewer.mayRead('/status')]
    }
    expect(await may('admin')).toEqual([true, true])
    expect(await may('prometheus')).toEqual([true, false])
    expect(await may('team')).toEqual([false, false])
  })

  it('is asked once a minute, however many ask at a time', async () => {
    const { viewerOf, world } = access({ team: ['b'] })
    await Promise.all(Array.from({ length: 50 }, () => viewerOf('team')))
    expect(world.asked.toSorted()).toEqual(['list ', 'list a', 'list b', 'who'])
    world.nowMs += 59_000
    await viewerOf('team')
    expect(world.asked).toHaveLength(4)
    world.nowMs += 2_000
    await viewerOf('team')
    expect(world.asked).toHaveLength(8)
  })

  it('is no longer known than its token says', async () => {
    const { viewerOf, world } = access({ team: ['b'] })
    const token = jwt('team', (world.nowMs + 5_000) / 1000)
    await viewerOf(token)
    world.nowMs += 4_999
    await viewerOf(token)
    expect(world.asked.filter(question => question === 'who')).toHaveLength(1)
    world.nowMs += 1
    await viewerOf(token)
    expect(world.asked.filter(question => question === 'who')).toHaveLength(2)
  })

  it('is what was known while the API server is away, then refused, and never open', async () => {
    const { viewerOf, world } = access({ team: ['b'], other: ['a'] })
    await viewerOf('team')
    world.away = true
    world.nowMs += 59_000
    expect((await viewerOf('team')).scope).toEqual({ namespaces: ['b'] })
    await expect(viewerOf('other')).rejects.toMatchObject({ status: 503, kind: 'access-unknown' })
    world.nowMs += 2_000
    await expect(viewerOf('team')).rejects.toMatchObject({
      status: 503,
      message: expect.stringMatching(/cannot be asked .* nothing is shown/),
    })
    world.away = false
    expect((await viewerOf('team')).scope).toEqual({ namespaces: ['b'] })
  })

  it('remembers refusals for ten seconds', async () => {
    const { viewerOf, world } = access({})
    for (let i = 0; i < 20; i++) await expect(viewerOf('guess')).rejects.toMatchObject({ status: 401 })
    expect(world.asked).toEqual(['who'])
    world.nowMs += 10_001
    await expect(viewerOf('guess')).rejects.toMatchObject({ status: 401 })
    expect(world.asked).toEqual(['who', 'who'])
  })

  it('asks about so many guesses a second and no more, which costs those who are known nothing', async () => {
    const { viewerOf, world } = access({ team: ['b'] })
    await viewerOf('team')
    const guessed = async (count: number, what: string) => {
      const statuses: number[] = []
      for (let i = 0; i < count; i++)
        statuses.push(
          await viewerOf(`${what}-${i}`, '10.0.0.66').then(
            () => 200,
            problem => problem.status,
          ),
        )
      return statuses
    }
    const statuses = await guessed(500, 'guess')
    const { burst, perSecond } = reviewLimits.tokens.oneAddress
    expect(statuses.filter(status => status === 401)).toHaveLength(burst)
    expect(new Set(statuses)).toEqual(new Set([401, 503]))
    expect((await viewerOf('team')).scope).toEqual({ namespaces: ['b'] })
    world.nowMs += 61_000
    await guessed(500, 'later')
    // what is known of it is over, and it is asked about all the same
    expect((await viewerOf('team')).scope).toEqual({ namespaces: ['b'] })
    world.nowMs += 1000
    expect((await guessed(100, 'last')).filter(status => status === 401)).toHaveLength(perSecond)
  })

  it('comes to an end for somebody of more namespaces than may be asked about at once', async () => {
    const many = Array.from({ length: 3000 }, (_, i) => `ns-${i}`)
    const { viewerOf, world } = access({ team: ['ns-7', 'ns-2999'] }, many)
    const tries: unknown[] = []
    for (let i = 0; i < 10; i++) {
      tries.push(
        await viewerOf('team').then(
          viewer => viewer.scope,
          problem => problem.status,
        ),
      )
      world.nowMs += 1000
    }
    expect(tries[0]).toBe(503)
    expect(tries.at(-1)).toEqual({ namespaces: ['ns-2999', 'ns-7'] })
  })

  it.each(['', 'a b', 'a\nb', 'ü', '{"a":1}', `x${'.y'.repeat(5000)}`])(
    'asks nobody about what is no token: %j',
    async token => {
      const { viewerOf, world } = access({})
      const refused = await viewerOf(token).catch(problem => problem)
      expect(refused).toMatchObject({ status: 401 })
      expect(world.asked).toEqual([])
    },
  )

  it.each(['a..c', 'a.+/.c', `a.${Buffer.from('null').toString('base64url')}.c`, 'a'])(
    'takes a token whose claims cannot be read as one without an end: %s',
    async token => {
      const { viewerOf } = access({ a: ['*'] })
      expect((await viewerOf(token)).scope).toBeUndefined()
    },
  )
})
