import type { Tally } from './tally.ts'

/**
 * Whether the tests of a stage ran, in one line that begins with `ran` or `skipped`. Their files leave themselves out
 * where a machine lacks something, so that a stage which passes may have tried nothing: that a program of the lab is
 * missing, or that nothing passed, is no run.
 */
export function whetherRan(
  skip: string | undefined,
  whyNoLab: string,
  { passed, failed }: Pick<Tally, 'passed' | 'failed'>,
): string {
  if (skip !== undefined) return `skipped: ${skip}`
  if (whyNoLab !== '') return `skipped in part: ${whyNoLab.replace(/^\(skipped: (.*)\)$/, '$1')}`
  return passed + failed > 0 ? 'ran' : 'skipped: every one of them left itself out'
}
