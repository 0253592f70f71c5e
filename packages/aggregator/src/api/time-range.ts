import type { ParameterError } from './problem.ts'

/** A range of whole minutes, unix milliseconds, `toMs` exclusive. `relative`: it moves with the clock. */
export interface TimeRange {
  readonly fromMs: number
  readonly toMs: number
  readonly relative: boolean
}

export interface TimeParameters {
  readonly window?: string
  readonly from?: string
  readonly to?: string
  readonly at?: string
}

export type TimeRangeResult =
  | { readonly ok: true; readonly range: TimeRange }
  | { readonly ok: false; readonly errors: ParameterError[] }

export const minuteMs = 60_000
export const defaultWindow = '5m'

const unitMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: minuteMs,
  h: 60 * minuteMs,
  d: 1440 * minuteMs,
}
const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/
const unixMs = /^\d{13}$/

/** Milliseconds of `90s`, `5m`, `2h`, `1d`; undefined if it is anything else or not a whole number of minutes. */
export function parseWindow(text: string): number | undefined {
  const match = /^([1-9]\d{0,5})([smhd])$/.exec(text)
  if (match === null) return undefined
  const ms = Number(match[1]) * unitMs[match[2]!]!
  return ms % minuteMs === 0 ? ms : undefined
}

/** Unix milliseconds of an RFC 3339 time or of 13 digits; undefined if it is neither or no real date. */
export function parseInstant(text: string): number | undefined {
  if (unixMs.test(text)) return Number(text)
  if (!rfc3339.test(text)) return undefined
  const ms = Date.parse(text.toUpperCase())
  if (Number.isNaN(ms)) return undefined
  // Date.parse turns 30 February into 1 or 2 March; an instant that isn't in the calendar is refused.
  const days = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate()
  return Number(text.slice(8, 10)) <= days ? ms : undefined
}

/**
 * The minutes that a request is about: the `window` that ends now (or `at` a given time), or `from`/`to`. Widened to
 * whole minutes. Refuses contradictions, the future and ranges longer than `maxRangeMs`.
 */
export function parseTimeRange(given: TimeParameters, nowMs: number, maxRangeMs: number): TimeRangeResult {
  const errors: ParameterError[] = []
  const windowMs = parseWindow(given.window ?? defaultWindow)
  if (windowMs === undefined) {
    errors.push({ parameter: 'window', detail: 'must be whole minutes, for example 5m, 120s, 2h' })
  }
  const at = instantOf('at', given.at, nowMs, errors)
  const from = instantOf('from', given.from, nowMs, errors)
  const to = instantOf('to', given.to, nowMs, errors)
  refuseContradictions(given, errors)
  if (errors.length > 0 || windowMs === undefined) return { ok: false, errors }

  const endMs = ceilMinute(to ?? at ?? floorMinute(nowMs) + minuteMs)
  const startMs = from === undefined ? endMs - windowMs : floorMinute(from)
  if (startMs >= endMs) return refuse('from', 'must be before to')
  if (endMs - startMs > maxRangeMs) {
    const name = from === undefined ? 'window' : 'from'
    return refuse(name, `the range may be at most ${Math.floor(maxRangeMs / minuteMs)} minutes long`)
  }
  const relative = to === undefined && at === undefined
  return { ok: true, range: { fromMs: startMs, toMs: endMs, relative } }
}

function refuse(parameter: string, detail: string): TimeRangeResult {
  return { ok: false, errors: [{ parameter, detail }] }
}

function instantOf(
  parameter: string,
  text: string | undefined,
  nowMs: number,
  errors: ParameterError[],
): number | undefined {
  if (text === undefined) return undefined
  const ms = parseInstant(text)
  if (ms === undefined) {
    errors.push({ parameter, detail: 'must be an RFC 3339 time or unix milliseconds (13 digits)' })
  } else if (ms > floorMinute(nowMs) + minuteMs) {
    errors.push({ parameter, detail: 'is in the future' })
  }
  return ms
}

function refuseContradictions(given: TimeParameters, errors: ParameterError[]): void {
  if (given.at !== undefined && (given.from !== undefined || given.to !== undefined)) {
    errors.push({ parameter: 'at', detail: 'goes with window, not with from or to' })
  }
  if (given.window !== undefined && given.from !== undefined) {
    errors.push({ parameter: 'window', detail: 'goes with at or to, not with from' })
  }
}

const floorMinute = (ms: number) => Math.floor(ms / minuteMs) * minuteMs
const ceilMinute = (ms: number) => Math.ceil(ms / minuteMs) * minuteMs
