/**
 * `order` with `fresh` put in where their texts belong. `order` is sorted by text already; a few new items cost a few
 * comparisons each and one copy.
 */
export function withInserted(
  order: Int32Array,
  fresh: readonly number[],
  textOf: (item: number) => string,
): Int32Array<ArrayBuffer> {
  const texts = fresh.map(item => ({ item, text: textOf(item) }))
  texts.sort((a, b) => compareTexts(a.text, b.text))
  const merged = new Int32Array(order.length + fresh.length)
  let from = 0
  let to = 0
  for (const { item, text } of texts) {
    const at = firstNotBefore(order, from, text, textOf)
    merged.set(order.subarray(from, at), to)
    to += at - from
    merged[to++] = item
    from = at
  }
  merged.set(order.subarray(from), to)
  return merged
}

/** Where the first item from `from` on lies whose text is not less. */
function firstNotBefore(
  order: Int32Array,
  from: number,
  text: string,
  textOf: (item: number) => string,
): number {
  let low = from
  let high = order.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (textOf(order[middle]) < text) low = middle + 1
    else high = middle
  }
  return low
}

/** Orders by UTF-16 code units, as `<` does. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
