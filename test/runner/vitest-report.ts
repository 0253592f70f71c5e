import { nothing, type Tally } from './tally.ts'

/** What Vitest's JSON report says of one test file. */
export interface FileResult {
  readonly file: string
  readonly failed: boolean
  /** Why the file itself failed, outside of its tests; else empty. */
  readonly message: string
  readonly tests: readonly { readonly name: string; readonly status: string; readonly message: string }[]
}

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message?: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[]
    }[]
  }[]
}

const firstLine = (text = '') => text.split('\n', 1)[0]!.trim()

/** Files are named as they lie below `root`. */
export function readReport(json: string, root: string): readonly FileResult[] {
  return (JSON.parse(json) as VitestReport).testResults.map(result => ({
    file: result.name.startsWith(`${root}/`) ? result.name.slice(root.length + 1) : result.name,
    failed: result.status === 'failed',
    message: firstLine(result.message),
    tests: result.assertionResults.map(test => ({
      name: test.fullName,
      status: test.status,
      message: firstLine(test.failureMessages?.[0]),
    })),
  }))
}

const failedTests = (result: FileResult) => result.tests.filter(test => test.status === 'failed')

/** A file that failed before or after its tests is one failure. */
const failedOutside = (result: FileResult) => result.failed && failedTests(result).length === 0

/** `status` is the exit code: an error outside any file (an unhandled rejection, say) shows in it alone. */
export function tallyOf(results: readonly FileResult[], status: number | null): Tally {
  const tests = results.flatMap(result => result.tests)
  const passed = tests.filter(test => test.status === 'passed').length
  const failed = results.reduce(
    (sum, result) => sum + failedTests(result).length + Number(failedOutside(result)),
    0,
  )
  const skipped = tests.filter(test => test.status !== 'passed' && test.status !== 'failed').length
  return { ...nothing, passed, failed: failed === 0 && status !== 0 ? 1 : failed, skipped }
}

/** A line each: where, which test, and the first line of why; `status` as in `tallyOf`. */
export function failuresOf(results: readonly FileResult[], status: number | null): readonly string[] {
  const failures = results.flatMap(result => [
    ...failedTests(result).map(test => `${result.file} > ${test.name}: ${test.message}`),
    ...(failedOutside(result) ? [`${result.file}: ${result.message}`] : []),
  ])
  return failures.length === 0 && status !== 0 ? [`outside any file: exit code ${status}`] : failures
}
