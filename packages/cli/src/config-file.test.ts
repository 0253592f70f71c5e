import { describe, expect, it } from 'vitest'
import { parseConfigFile } from './config-file.ts'

describe('parseConfigFile', () => {
  it('reads YAML and JSON alike', () => {
    const options = { listen: '127.0.0.1:7200', 'max-flows': 1000, udp: false, node: ['a=/x'] }
    expect(
      parseConfigFile('# here\nlisten: 127.0.0.1:7200\nmax-flows: 1000\nudp: false\nnode:\n  - a=/x\n'),
    ).toEqual(options)
    expect(parseConfigFile(JSON.stringify(options))).toEqual(options)
    expect(parseConfigFile('# nothing yet\n')).toEqual({})
  })

  it.each([
    ['flush: [', 'line 1'],
    ['flush: 1s\nflush: 2s\n', 'unique'],
    ['a: b: c', 'line 1'],
    ['\t- x', 'line 1'],
  ])('says in one line what is wrong with %j', (text, part) => {
    expect(() => parseConfigFile(text)).toThrow(part)
    expect(() => parseConfigFile(text)).not.toThrow(/\n/)
  })

  it('refuses a text that would grow without bound', () => {
    const levels = ['a: &a [x,x,x,x,x,x,x,x,x,x]']
    for (let i = 1; i < 9; i++) {
      const before = String.fromCharCode(96 + i)
      levels.push(
        `${String.fromCharCode(97 + i)}: &${String.fromCharCode(97 + i)} [${`*${before},`.repeat(10)}]`,
      )
    }
    expect(() => parseConfigFile(levels.join('\n'))).toThrow('alias')
  })
})
