import { createAccount, fromSeed } from '@nats-io/nkeys'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KubeUser } from '../kube/access-reviews.ts'
import { issuerKey } from './issuer-key.ts'
import { loginOf } from './login-policy.ts'

describe('the key that signs logins', () => {
  it('is one of an account, the same for the same secret and another for another', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 32 }), fc.string({ minLength: 32 }), (a, b) => {
        const key = issuerKey(a)
        expect(key.getPublicKey()).toMatch(/^A[A-Z2-7]{55}$/)
        expect(fromSeed(key.getSeed()).getPublicKey()).toBe(key.getPublicKey())
        expect(issuerKey(b).getPublicKey() === key.getPublicKey()).toBe(a === b)
        const text = new TextEncoder().encode('login')
        expect(key.verify(text, key.sign(text))).toBe(true)
        expect(createAccount().verify(text, key.sign(text))).toBe(false)
      }),
      { numRuns: 20 },
    )
  })

  it('is not made from a secret that can be guessed', () => {
    expect(() => issuerKey('short')).toThrow(/can be guessed/)
  })
})

describe('what a token lets a collector do', () => {
  const policy = { cluster: 'prod', serviceAccount: 'collectors/skybraid-collector' }
  const user = (name: string, extra: KubeUser['extra']): KubeUser => ({
    username: `system:serviceaccount:${name}`,
    uid: 'u',
    groups: [],
    extra,
  })
  const node = (...names: string[]) => ({ 'authentication.kubernetes.io/node-name': names })

  it('is to publish as the node of its pod, and to hear the answers', () => {
    expect(loginOf(user('collectors:skybraid-collector', node('worker-1.example')), policy)).toEqual({
      node: 'worker-1.example',
      publish: ['skybraid.v1.prod.flow.*.worker-1_example', '$JS.API.DIRECT.GET.KV_SKYBRAID_LAYOUT_prod.>'],
      subscribe: ['_INBOX_worker-1_example.>'],
    })
  })

  it.each([
    ['collectors:other', node('n')],
    ['other:skybraid-collector', node('n')],
    ['collectors:skybraid-collector:x', node('n')],
    ['collectors:skybraid-collector', {}],
    ['collectors:skybraid-collector', node()],
    ['collectors:skybraid-collector', node('a', 'b')],
    ['collectors:skybraid-collector', node('')],
    ['collectors:skybraid-collector', node('*')],
    ['collectors:skybraid-collector', node('>')],
    ['collectors:skybraid-collector', node('a b')],
    ['collectors:skybraid-collector', node('A')],
    ['collectors:skybraid-collector', node('n\nx')],
  ])('is nothing for %s with %j', (name, extra) => {
    expect(loginOf(user(name, extra), policy)).toEqual(expect.any(String))
  })
})
