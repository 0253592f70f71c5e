const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const rfc3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/

/** Unix milliseconds of a moment in RFC 3339, or of so long before `nowMs`; undefined if it is neither. */
export function parseSince(text: string, nowMs: number): number | undefined {
  const ago = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text)
  if (ago !== null) return nowMs - Number(ago[1]) * unitMs[ago[2]]
  const moment = rfc3339.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN
  return Number.isNaN(moment) ? undefined : moment
}
