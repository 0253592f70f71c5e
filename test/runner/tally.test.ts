import { describe, expect, it } from 'vitest'
import { fromNativeTests, fromVitest } from './tally.ts'

const report = (numbers: object, testResults: object[] = []) =>
  JSON.stringify({
    numPassedTests: 3,
    numFailedTests: 0,
    numPendingTests: 1,
    numTodoTests: 1,
    testResults,
    ...numbers,
  })

describe('fromVitest', () => {
  it('takes the counts of a good run', () => {
    expect(fromVitest(report({}), 0)).toEqual({ passed: 3, failed: 0, skipped: 2 })
  })

  it('counts a file that could not be loaded, and an error outside any test', () => {
    const unloaded = [{ status: 'failed', assertionResults: [] }]
    expect(fromVitest(report({}, unloaded), 1).failed).toBe(1)
    expect(fromVitest(report({ numFailedTests: 2 }, unloaded), 1).failed).toBe(3)
    expect(fromVitest(report({}), 1).failed).toBe(1)
    const brokenSetUp = [{ status: 'failed', assertionResults: [{ status: 'skipped' }] }]
    expect(fromVitest(report({ numFailedTests: 2 }, brokenSetUp), 1).failed).toBe(3)
  })
})

describe('fromNativeTests', () => {
  it('adds up the programs', () => {
    expect(fromNativeTests('a: 3 passed, 0 failed\nx\n4 passed, 1 failed\n', 2)).toEqual({
      passed: 7,
      failed: 1,
      skipped: 0,
    })
  })

  it('never calls a crash a success', () => {
    expect(fromNativeTests('3 passed, 0 failed\n', 139).failed).toBe(1)
    expect(fromNativeTests('', 2)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})
