const reversible = ['from', 'to', 'proto', 'verdict']

export type RewrittenArgs =
  | { readonly ok: true; readonly args: readonly string[] }
  | { readonly ok: false; readonly problem: string }

/** `--not` reverses the filter behind it: `--not --from x` becomes `--not-from x`. */
export function rewriteNot(args: readonly string[]): RewrittenArgs {
  const rewritten: string[] = []
  for (let at = 0; at < args.length; at++) {
    if (args[at] === '--') return { ok: true, args: [...rewritten, ...args.slice(at)] }
    if (args[at] !== '--not') {
      rewritten.push(args[at])
      continue
    }
    const next = args[at + 1] ?? ''
    const name = /^--([a-z]+)(=|$)/.exec(next)?.[1] ?? ''
    if (!reversible.includes(name)) {
      const flags = reversible.map(flag => `--${flag}`).join(', ')
      return { ok: false, problem: `--not must stand before one of ${flags}; it reverses the one behind it.` }
    }
    rewritten.push(`--not-${next.slice(2)}`)
    at += 1
  }
  return { ok: true, args: rewritten }
}
