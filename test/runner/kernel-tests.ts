import type { Tally } from './tally.ts'

/**
 * Whether the tests of the kernel ran, in one line that begins with `ran` or `skipped`. Their files leave themselves out
 * where a machine lacks something, so that a stage which passes may have tried nothing: that a program of the lab is
 * missing, or that nothing passed, is no run.
 */
export function kernelTestsOf(
  kernelSkip: string | undefined,
  whyNoLab: string,
  { passed, failed }: Pick<Tally, 'passed' | 'failed'>,
): string {
  if (kernelSkip !== undefined) return `skipped: ${kernelSkip}`
  if (whyNoLab !== '') return `skipped in part: ${whyNoLab.replace(/^\(skipped: (.*)\)$/, '$1')}`
  return passed + failed > 0 ? 'ran' : 'skipped: every one of them left itself out'
}
