import { type Figure, reaches, type Skipped } from './figure.ts'
import type { Machine } from './machine.ts'

export type Result = Figure | Skipped

export function machineLine(machine: Machine): string {
  const { cpu, cores, memoryGib, kernel, distribution, node, loadBefore } = machine
  return `${cpu}, ${cores} cores, ${memoryGib} GiB, Linux ${kernel}, ${distribution}, Node ${node}, load before ${loadBefore.toFixed(1)}`
}

/** A number with three significant digits, whole above 100, thousands parted. */
export function shown(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}

/** One line for a terminal. */
export function terminalLine(result: Result): string {
  if ('skipped' in result) return `  --    ${result.name}: not measured, ${result.skipped}`
  const verdict = { true: '  ok  ', false: '  MISS', undefined: '      ' }[String(reaches(result)) as 'true']
  return `${verdict}  ${result.name}: ${withUnit(result.value, result.unit)}${range(result)}${asked(result)}`
}

function withUnit(value: number, unit: string): string {
  return unit === '' ? shown(value) : `${shown(value)} ${unit}`
}

function range({ spread }: Figure): string {
  return spread === undefined ? '' : ` [${shown(spread[0])} .. ${shown(spread[1])}]`
}

function asked({ reach }: Figure): string {
  return reach === '' ? '' : `  (${comparison(reach)})`
}

function comparison(reach: string): string {
  const [sign, bound] = reach.split(' ')
  return `${sign === '>=' ? '≥' : '≤'} ${shown(Number(bound))}`
}

/** docs/performance.md: the last whole run. */
export function performancePage(results: readonly Result[], machine: Machine, date: string): string {
  const rows = results.map(result => {
    if ('skipped' in result) return `| ${result.name} | not measured: ${result.skipped} | | |`
    const value = `${withUnit(result.value, result.unit)}${range(result)}`
    const missed = reaches(result) === false ? ' **missed**' : ''
    const reach = result.reach === '' ? '' : `${comparison(result.reach)}${missed}`
    return `| ${result.name} | ${value} | ${reach} | ${result.method} |`
  })
  return [
    '# Performance',
    '',
    'What `npm run bench -- --write` measured last. Every figure can be measured again with',
    '`npm run bench -- --only NAME`; square brackets hold the smallest and the largest of repeated measurements.',
    '',
    `Machine: ${machineLine(machine)}. Date: ${date}.`,
    '',
    '| figure | value | to reach | how it was measured |',
    '|---|---|---|---|',
    ...rows,
    '',
    'Kernel time is the run time the kernel accounts to our programs (`kernel.bpf_stats_enabled`) minus their runs times',
    'what an empty program costs under the same accounting, so that the accounting itself is not counted.',
    '',
  ].join('\n')
}
