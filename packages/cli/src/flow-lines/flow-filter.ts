import { endNames, stateNames } from '@skybraid/shared'
import { type EndFilter, endMatches, parseEndFilter } from './end-filter.ts'
import type { FlowRow } from './flow-row.ts'

/** What each flag was given. A record must fit one value of every flag that has any, and none of the `not` ones. */
export interface FilterTexts {
  readonly from: readonly string[]
  readonly to: readonly string[]
  readonly proto: readonly string[]
  readonly verdict: readonly string[]
}

export type FlowFilter = (row: FlowRow) => boolean

type Outcome = { readonly states: readonly string[]; readonly ends: readonly string[] }

/** Words of `--verdict`, without capitals and underscores: every state, every end, and what several ends have in common. */
const verdicts: ReadonlyMap<string, Outcome> = new Map<string, Outcome>([
  ...Object.values(stateNames).map((name): [string, Outcome] => [plain(name), { states: [name], ends: [] }]),
  ...Object.values(endNames).map((name): [string, Outcome] => [plain(name), { states: [], ends: [name] }]),
  ['reset', { states: [], ends: ['reset_sent', 'reset_received', 'reset_in_handshake'] }],
])

export const verdictNames = [...Object.values(stateNames), 'reset', ...Object.values(endNames)]

/** What is wrong with a word of `--verdict` or `--proto`, as the end of a sentence; undefined if nothing. */
export function verdictProblem(text: string): string | undefined {
  if (verdicts.has(plain(text))) return undefined
  return `must be one of ${verdictNames.join(', ')}, not ${JSON.stringify(text)}`
}

export function protoProblem(text: string): string | undefined {
  return text === 'tcp' || text === 'udp' ? undefined : `must be tcp or udp, not ${JSON.stringify(text)}`
}

export function endProblem(text: string): string | undefined {
  const parsed = parseEndFilter(text)
  return parsed.ok ? undefined : parsed.problem
}

/** Texts that have a problem fit nothing. */
export function createFlowFilter(wanted: FilterTexts, unwanted: FilterTexts): FlowFilter {
  const needed = testsOf(wanted)
  const refused = testsOf(unwanted)
  return row => needed.every(test => test(row)) && !refused.some(test => test(row))
}

function testsOf(texts: FilterTexts): FlowFilter[] {
  const tests: FlowFilter[] = []
  for (const end of ['from', 'to'] as const) {
    const filters = endFilters(texts[end])
    if (texts[end].length > 0) tests.push(row => eitherWay(row, filters, end))
  }
  if (texts.proto.length > 0) tests.push(row => texts.proto.includes(row.protocol))
  if (texts.verdict.length > 0) {
    const outcomes = texts.verdict.flatMap(text => verdicts.get(plain(text)) ?? [])
    tests.push(({ state, end }) =>
      outcomes.some(
        ({ states, ends }) => states.includes(state) || (end !== undefined && ends.includes(end)),
      ),
    )
  }
  return tests
}

/** Where nobody knows who dialled, both ends may be either. */
function eitherWay(row: FlowRow, filters: readonly EndFilter[], end: 'from' | 'to'): boolean {
  const other = end === 'from' ? 'to' : 'from'
  return filters.some(
    filter => endMatches(filter, row[end]) || (row.role === 'unknown' && endMatches(filter, row[other])),
  )
}

function endFilters(texts: readonly string[]): EndFilter[] {
  return texts.flatMap(text => {
    const parsed = parseEndFilter(text)
    return parsed.ok ? [parsed.filter] : []
  })
}

function plain(text: string): string {
  return text.toLowerCase().replace(/[_-]/g, '')
}
