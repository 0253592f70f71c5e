import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatAddress, formatV4Word, parseAddress } from './address.ts'

describe('formatAddress', () => {
  it.each([
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['20010db8000000010000000000000001', '2001:db8:0:1::1'],
    ['20010db80000000100000001000000aa', '2001:db8:0:1:0:1:0:aa'],
    ['20010db8000100010001000100010001', '2001:db8:1:1:1:1:1:1'],
    ['20010000000000010000000000000001', '2001:0:0:1::1'],
    ['20010000000000010001000000000001', '2001::1:1:0:0:1'],
    ['00010000000000000000000000000000', '1::'],
    ['00000000000000000000ffffc0000201', '::ffff:192.0.2.1'],
    ['fe800000000000000000000000000abc', 'fe80::abc'],
  ])('writes %s as RFC 5952 wants: %s', (hex, text) => {
    expect(formatAddress(Uint8Array.from(Buffer.from(hex, 'hex')))).toBe(text)
  })

  it('reads its own text back, and Node agrees that it is an address', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc
        .array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 })
        .map(list => Uint8Array.from(list)),
    )
    fc.assert(
      fc.property(bytes, address => {
        const text = formatAddress(address)
        expect(isIP(text)).toBe(address.length === 4 ? 4 : 6)
        expect(parseAddress(text)).toEqual(address)
      }),
    )
  })

  it('finds an address inside other bytes', () => {
    expect(formatAddress(Uint8Array.of(9, 10, 0, 0, 1, 9), 1, 4)).toBe('10.0.0.1')
  })
})

describe('formatV4Word', () => {
  it('is the little-endian reading of the four bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), bytes => {
        const word = new DataView(bytes.buffer).getUint32(0, true)
        expect(formatV4Word(word)).toBe(formatAddress(bytes))
      }),
    )
  })
})

describe('parseAddress', () => {
  it.each([
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    '0x1.2.3.4',
    ':',
    ':::',
    '1::2::3',
  ])('refuses %j', text => {
    expect(parseAddress(text)).toBeUndefined()
  })

  it.each([
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    'fe80::1%eth0',
    '12345::',
    '::g',
    '::1.2.3',
  ])('refuses %j', text => {
    expect(parseAddress(text)).toBeUndefined()
  })

  it('takes what Node takes, for short texts of the right letters', () => {
    const unit = fc.constantFrom('::', ':', '.', '0', '1', '25', 'a', 'ffff', '1.2.3.4')
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 12 }), parts => {
        const text = parts.join('')
        expect(parseAddress(text) !== undefined, text).toBe(isIP(text) !== 0)
      }),
      { numRuns: 2_000 },
    )
  })
})
