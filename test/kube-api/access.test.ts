import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createKubeAccess } from '../../packages/aggregator/src/api/auth/kube-access.ts'
import { createAccessReviews } from '../../packages/aggregator/src/kube/access-reviews.ts'
import { ApiServer } from './api-server.ts'
import { grant, makeNamespace, makeServiceAccount, tokenOf } from './cluster-objects.ts'

const log = { warn: () => {} }
const listPods = { verbs: ['list'], apiGroups: [''], resources: ['pods'] }
const namespaces = ['shop', 'pay', 'ops']

describe('who may see what, by the real API server', () => {
  let api: ApiServer
  let reviewer = ''
  const clock = { nowMs: Date.now() }
  const access = (audience = '') => {
    const viewerOf = createKubeAccess({
      reviews: createAccessReviews(api.transport(reviewer), audience),
      namespaces: () => namespaces,
      log,
      nowMs: () => clock.nowMs,
    })
    return (token: string) => viewerOf(token, '10.0.0.7')
  }
  const scopeOf = async (token: string, audience?: string) => (await access(audience)(token)).scope

  beforeAll(async () => {
    api = await ApiServer.start()
    for (const name of [...namespaces, 'skybraid']) await makeNamespace(api, name)
    for (const name of ['admin', 'team', 'prometheus', 'nobody', 'aggregator', 'nearly'])
      await makeServiceAccount(api, 'skybraid', name)
    const account = (name: string) => ({ namespace: 'skybraid', name })
    await grant(api, account('admin'), '', [listPods])
    await grant(api, account('team'), 'shop', [listPods])
    await grant(api, account('team'), 'pay', [listPods])
    await grant(api, account('prometheus'), '', [{ verbs: ['get'], nonResourceURLs: ['/metrics'] }])
    await grant(api, account('nearly'), 'shop', [{ ...listPods, verbs: ['get', 'watch'] }])
    // exactly what the chart gives the aggregator for it
    await grant(api, account('aggregator'), '', [
      { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'] },
      { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'] },
    ])
    reviewer = await tokenOf(api, 'skybraid', 'aggregator')
  })
  beforeEach(() => {
    clock.nowMs = Date.now()
  })
  afterAll(() => api?.close())

  it('is by the right to list pods, in all namespaces, in some, or in none', async () => {
    const token = (name: string) => tokenOf(api, 'skybraid', name)
    expect(await scopeOf(await token('admin'))).toBeUndefined()
    expect(await scopeOf(await token('team'))).toEqual({ namespaces: ['pay', 'shop'] })
    expect(await scopeOf(await token('nobody'))).toEqual({ namespaces: [] })
    expect(await scopeOf(await token('nearly'))).toEqual({ namespaces: [] })
    const viewer = await access()(await token('prometheus'))
    expect(await viewer.mayRead('/metrics')).toBe(true)
    expect(await viewer.mayRead('/status')).toBe(false)
  })

  it('is nobody for tokens that are not whole, signed by somebody else, or for another audience', async () => {
    const good = await tokenOf(api, 'skybraid', 'admin')
    const [head, claims, signature] = good.split('.')
    const other = Buffer.from(
      Buffer.from(claims!, 'base64url').toString().replace('admin', 'nobody'),
    ).toString('base64url')
    const bus = await tokenOf(api, 'skybraid', 'admin', { audiences: ['skybraid-bus'] })
    for (const token of [
      `${head}.${claims}.${signature!.slice(0, -4)}AAAA`,
      `${head}.${other}.${signature}`,
      `${head}.${claims}.`,
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`,
      good.slice(0, -1),
      bus,
      'x',
    ])
      await expect(scopeOf(token)).rejects.toMatchObject({ status: 401 })
  })

  it('takes tokens for its own audience alone where that is wanted', async () => {
    const own = await tokenOf(api, 'skybraid', 'team', { audiences: ['skybraid'] })
    expect(await scopeOf(own, 'skybraid')).toEqual({ namespaces: ['pay', 'shop'] })
    await expect(scopeOf(own)).rejects.toMatchObject({ status: 401 })
    await expect(scopeOf(await tokenOf(api, 'skybraid', 'admin'), 'skybraid')).rejects.toMatchObject({
      status: 401,
    })
  })

  it('changes within a minute of the rights, and ends with the service account', async () => {
    await makeServiceAccount(api, 'skybraid', 'guest')
    const binding = await grant(api, { namespace: 'skybraid', name: 'guest' }, 'ops', [listPods])
    const viewerOf = access()
    const token = await tokenOf(api, 'skybraid', 'guest')
    expect((await viewerOf(token)).scope).toEqual({ namespaces: ['ops'] })
    await api.must('DELETE', binding)
    expect((await viewerOf(token)).scope).toEqual({ namespaces: ['ops'] })
    // the server takes a moment to hear of it, and keeps tokens for ten seconds itself
    const aMinuteLater = () => {
      clock.nowMs += 61_000
      return viewerOf(token).then(
        viewer => viewer.scope?.namespaces,
        problem => problem.status,
      )
    }
    await expect.poll(aMinuteLater, { timeout: 30_000, interval: 1000 }).toEqual([])
    await api.must('DELETE', '/api/v1/namespaces/skybraid/serviceaccounts/guest')
    await expect.poll(aMinuteLater, { timeout: 30_000, interval: 1000 }).toBe(401)
  })

  it('cannot be asked without the right to, and says so without opening anything', async () => {
    const lines: string[] = []
    const listening = { warn: (fields: object) => void lines.push(String((fields as { err: unknown }).err)) }
    const viewerOf = createKubeAccess({
      reviews: createAccessReviews(api.transport(await tokenOf(api, 'skybraid', 'nobody'))),
      namespaces: () => namespaces,
      log: listening,
      nowMs: () => clock.nowMs,
    })
    await expect(viewerOf(await tokenOf(api, 'skybraid', 'admin'), '10.0.0.7')).rejects.toMatchObject({
      status: 503,
    })
    expect(lines.join('')).toMatch(/tokenreviews.*cannot create|cannot create.*tokenreviews/)
  })

  it('is what was known while the API server is away, and 503 after that', async () => {
    const viewerOf = access()
    const token = await tokenOf(api, 'skybraid', 'team')
    await viewerOf(token)
    await api.stopApi()
    try {
      expect((await viewerOf(token)).scope).toEqual({ namespaces: ['pay', 'shop'] })
      clock.nowMs += 61_000
      await expect(viewerOf(token)).rejects.toMatchObject({ status: 503 })
    } finally {
      await api.restart()
    }
    await expect
      .poll(
        () =>
          viewerOf(token).then(
            viewer => viewer.scope,
            problem => problem.status,
          ),
        { timeout: 20_000 },
      )
      .toEqual({ namespaces: ['pay', 'shop'] })
  })
})
