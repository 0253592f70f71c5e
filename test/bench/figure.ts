/** One measured figure with what it has to reach and how it was measured. */
export interface Figure {
  readonly name: string
  /** Finite; a figure that could not be measured is a `Skipped` instead. */
  readonly value: number
  readonly unit: string
  /** `>= NUMBER` or `<= NUMBER` in the unit; empty for a figure that is only shown. */
  readonly reach: string
  /** One line: what ran, how often, which statistic. */
  readonly method: string
  /** Smallest and largest of the repeated measurements, where there were several. */
  readonly spread?: readonly [number, number]
}

export interface Skipped {
  readonly name: string
  readonly skipped: string
}

/** A measurement that yields one or several figures, run on its own. */
export interface Measurement {
  /** Names of the figures it yields; `--only` is matched against them. */
  readonly names: readonly string[]
  /** Needs root, BTF and the built product. */
  readonly kernel?: boolean
  /** Ends what `measure` left running when it was interrupted, once nothing of this process runs any more. */
  readonly cleanUp?: () => void
  readonly measure: () => Promise<readonly (Figure | Skipped)[]> | readonly (Figure | Skipped)[]
}

/** Whether a figure reaches what it has to; undefined if nothing is asked of it. Throws on a malformed `reach`. */
export function reaches({ value, reach }: Figure): boolean | undefined {
  if (reach === '') return undefined
  const match = /^(>=|<=) (\d+(?:\.\d+)?)$/.exec(reach)
  if (match === null) throw new Error(`malformed reach: ${reach}`)
  const bound = Number(match[2])
  return match[1] === '>=' ? value >= bound : value <= bound
}
