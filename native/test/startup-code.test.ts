import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

const addon = new URL('../build/skybraid.node', import.meta.url).pathname

/** In a process of its own, which goes on to do what it has not done before: compile, compress, hash. */
const program = `
const { readFileSync } = require('node:fs')
const mapped = () => Number(/^RssFile:\\s*(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1])
const before = mapped()
const released = require(${JSON.stringify(addon)}).releaseStartupCode()
const after = mapped()
const text = JSON.stringify(Array.from({ length: 10000 }, (_, n) => ({ n, square: n * n })))
const { zstdCompressSync, zstdDecompressSync } = require('node:zlib')
const same = zstdDecompressSync(zstdCompressSync(Buffer.from(text))).toString() === text
const sum = require('node:crypto').createHash('sha256').update(text).digest('hex')
const compiled = new Function('n', 'let s = 0; for (let i = 0; i < n; i++) s += i; return s')(1e6)
process.stdout.write(JSON.stringify({ before, after, released, same, length: sum.length, compiled }))
`

describe('releaseStartupCode', () => {
  it('gives pages of files back, and the process goes on as if nothing had been', () => {
    const output = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })
    const { before, after, released, ...rest } = JSON.parse(output)
    expect(rest).toEqual({ same: true, length: 64, compiled: 499_999_500_000 })
    expect(released).toBeGreaterThan(20e6)
    expect(after).toBeLessThan(before / 2)
  })
})
