import { defineOptions } from '@skybraid/shared'
import type { Output } from '../console.ts'
import { type FormatName, formatNames } from '../flow-lines/line-format.ts'
import { noPaint, type Paint, terminalPaint } from '../flow-lines/paint.ts'

/** Options of every command that prints records. */
export const outputOptions = defineOptions({
  output: {
    type: 'string',
    short: 'o',
    description: 'How to print records',
    default: 'compact',
    values: formatNames,
    placeholder: 'FORMAT',
  },
  color: {
    type: 'boolean',
    description: 'No colours, as without a terminal or with NO_COLOR set',
    default: true,
  },
})

export type OutputFormat = FormatName

export function paintFor(
  output: Output,
  env: Readonly<Record<string, string | undefined>>,
  wanted: boolean,
): Paint {
  const allowed = wanted && output.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  return allowed ? terminalPaint : noPaint
}
