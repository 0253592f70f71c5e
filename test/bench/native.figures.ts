import { fileURLToPath } from 'node:url'
import { runCommand } from '../lab/run-command.ts'
import type { Figure, Measurement } from './figure.ts'

const folder = fileURLToPath(new URL('../../native', import.meta.url))

/** What native/bench prints, a line each. */
interface Line {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly rounds?: number
  readonly spread?: readonly [number, number]
}

/** Those that are told as a rate, with what each has to reach. */
const rates: Readonly<Record<string, string>> = {
  'native: HTTP/1 message parsed, paired and added up': '>= 5',
  'native: HTTP/2 message, 100 streams at once, parsed, paired and added up': '>= 2',
  'native: Redis message, pipeline of 16, parsed, paired and added up': '',
}
const others = [
  'native: reading of an open socket into the flow table',
  'native: scan of 20,000 open flows for what is due',
  'native: closing row into a record',
  'native: record into columns',
  'native: bytes of a record, IPv4, closed',
]

const million = (ns: number) => 1e3 / ns

function figureOf({ name, value, unit, rounds, spread }: Line): Figure {
  const method = `native/bench, one thread, time on a processor${rounds === undefined ? '' : `, ${rounds} rounds, median`}`
  const reach = rates[name]
  if (reach === undefined) return { name, value, unit, reach: '', method, ...(spread && { spread }) }
  const turned = spread && { spread: [million(spread[1]), million(spread[0])] as const }
  return { name, value: million(value), unit: 'M/s', reach, method, ...turned }
}

async function measure(): Promise<Figure[]> {
  const { stdout } = await runCommand(['make', '-s', '-C', folder, 'bench'])
  return stdout
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => figureOf(JSON.parse(line) as Line))
}

export const measurements: readonly Measurement[] = [{ names: [...Object.keys(rates), ...others], measure }]
