import { describe, expect, it } from 'vitest'
import { failuresOf, readReport, tallyOf } from './vitest-report.ts'

const test = (fullName: string, status: string, ...failureMessages: string[]) => ({
  fullName,
  status,
  failureMessages,
})

const report = (...files: { name: string; status: string; message?: string; tests?: object[] }[]) =>
  readReport(
    JSON.stringify({
      testResults: files.map(({ tests = [], ...file }) => ({ ...file, assertionResults: tests })),
    }),
    '/project',
  )

const good = {
  name: '/project/test/a.test.ts',
  status: 'passed',
  tests: [test('adds', 'passed'), test('waits', 'skipped'), test('later', 'todo')],
}
const bad = {
  name: '/project/test/b.test.ts',
  status: 'failed',
  tests: [
    test('joins', 'failed', 'AssertionError: expected 1 to be 2\n    at there'),
    test('ends', 'passed'),
  ],
}
const unloaded = { name: '/project/test/c.test.ts', status: 'failed', message: 'no such module\nat here' }
const brokenSetUp = { ...unloaded, tests: [test('never', 'skipped')] }

describe('tallyOf', () => {
  it('counts what passed, failed and was left out', () => {
    expect(tallyOf(report(good), 0)).toEqual({ passed: 1, failed: 0, skipped: 2 })
    expect(tallyOf(report(good, bad), 1)).toEqual({ passed: 2, failed: 1, skipped: 2 })
  })

  it('counts a file that could not be loaded or set up, and an error outside any file', () => {
    expect(tallyOf(report(bad, unloaded), 1).failed).toBe(2)
    expect(tallyOf(report(bad, brokenSetUp), 1).failed).toBe(2)
    expect(tallyOf(report(good), 1).failed).toBe(1)
    expect(tallyOf([], 1).failed).toBe(1)
  })
})

describe('failuresOf', () => {
  it('says where, which and why, a line each', () => {
    expect(failuresOf(report(good, bad, unloaded), 1)).toEqual([
      'test/b.test.ts > joins: AssertionError: expected 1 to be 2',
      'test/c.test.ts: no such module',
    ])
  })

  it('says that something failed outside any file', () => {
    expect(failuresOf(report(good), 1)).toEqual(['outside any file: exit code 1'])
    expect(failuresOf(report(good), 0)).toEqual([])
  })
})
