const maxBoots = 16

/**
 * Numbers of the boots of each node, modulo 256, in the order of their starts: the same in all partitions, so that
 * connections of different partitions can say which boot reported them.
 */
export class BootOrdinals {
  readonly #nodes = new Map<number, { readonly bootId: string; readonly ordinal: number }[]>()

  /** `isNewest`: a boot not heard of before started after all others; otherwise before them. */
  of(node: number, bootId: string, isNewest: boolean): number {
    const boots = this.#nodes.get(node) ?? []
    const known = boots.find(boot => boot.bootId === bootId)
    if (known !== undefined) return known.ordinal
    if (boots.length === 0) this.#nodes.set(node, boots)
    const first = boots[0]?.ordinal ?? 0
    const last = boots.at(-1)?.ordinal ?? 1
    const ordinal = (isNewest ? first + 1 : last - 1) & 0xff
    if (isNewest) boots.unshift({ bootId, ordinal })
    else boots.push({ bootId, ordinal })
    if (boots.length > maxBoots) boots.pop()
    return ordinal
  }
}
