/** The known name that a mistyped one most likely meant; undefined if none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const typed = name.slice(0, 64)
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(Math.min(typed.length, 24) / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(typed, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours. */
function editDistance(left: string, right: string): number {
  let older: number[] = []
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const replaced = previous[column - 1] + (left[row - 1] === right[column - 1] ? 0 : 1)
      let cost = Math.min(previous[column] + 1, current[column - 1] + 1, replaced)
      const swapped =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      if (swapped) cost = Math.min(cost, older[column - 2] + 1)
      current.push(cost)
    }
    older = previous
    previous = current
  }
  return previous[right.length]
}
