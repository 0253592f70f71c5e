import { describe, expect, it } from 'vitest'
import { addressRange, createOutsideRanges } from './address-range.ts'
import { wordsOfText } from './address-text.ts'
import { labelSelector, matchesLabels, selectorText } from './label-selector.ts'

const labels = ['app', 'web', 'tier', 'front']

describe('labelSelector', () => {
  it.each([
    ['app=web', true],
    ['app==web,tier!=db', true],
    ['app!=web', false],
    ['missing!=web', true],
    ['app in (web, api)', true],
    ['app notin (web)', false],
    ['app in (web),tier', true],
    ['!app', false],
    ['!missing', true],
    ['app.kubernetes.io/name=web', false],
    ['app=', false],
  ])('%s: %s', (text, expected) => {
    const selector = labelSelector(text)!
    expect(matchesLabels(selector, labels)).toBe(expected)
    expect(labelSelector(selectorText(selector))).toEqual(selector)
  })

  it.each(['', 'a=b,', 'a in web', '=web', 'a=b c', 'a in ()x', '-a=b', '(a)'])('refuses %j', text => {
    expect(labelSelector(text)).toBeUndefined()
  })
})

describe('outside ranges', () => {
  const ranges = createOutsideRanges([
    { name: 'private', range: addressRange('10.0.0.0/8')! },
    { name: 'office', range: addressRange('10.1.2.0/23')! },
    { name: 'v6', range: addressRange('2001:db8::/33')! },
  ])
  const nameOf = (text: string) => {
    const { w0, w1, w2, w3 } = wordsOfText(text)!
    return ranges.nameOf(w0, w1, w2, w3)
  }

  it('names an address after the narrowest range around it', () => {
    expect(['10.1.3.9', '10.1.4.0', '11.0.0.1', '2001:db8:7fff::1', '2001:db8:8000::1'].map(nameOf)).toEqual([
      'office',
      'private',
      undefined,
      'v6',
      undefined,
    ])
  })

  it('refuses what is no range', () => {
    for (const text of ['10.0.0.0', '10.0.0.0/33', 'x/8', '10.0.0.0/8/8', '::/129', '10.0.0.0/'])
      expect(addressRange(text), text).toBeUndefined()
  })
})
