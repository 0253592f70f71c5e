/** Orders the items of each layer so that few arrows cross: everything moves towards the middle of its neighbours. */

const sweeps = 12

/** `layers` are lists of ids from left to right; `chains` hold the ids each arrow runs through, one per layer. */
export function orderLayers(layers, chains) {
  const before = new Map()
  const after = new Map()
  for (const id of layers.flat()) {
    before.set(id, [])
    after.set(id, [])
  }
  for (const chain of chains.values()) {
    for (let i = 1; i < chain.length; i++) {
      before.get(chain[i]).push(chain[i - 1])
      after.get(chain[i - 1]).push(chain[i])
    }
  }
  let current = layers.map(layer => [...layer])
  let best = current
  let fewest = crossings(current, after)
  for (let sweep = 0; sweep < sweeps && fewest > 0; sweep++) {
    current = sweep % 2 === 0 ? sweepRight(current, before) : sweepLeft(current, after)
    const count = crossings(current, after)
    if (count < fewest) {
      fewest = count
      best = current
    }
  }
  return best
}

function sweepRight(layers, before) {
  const sorted = [layers[0]]
  for (let i = 1; i < layers.length; i++) sorted.push(sortBy(layers[i], before, sorted[i - 1]))
  return sorted
}

function sweepLeft(layers, after) {
  const sorted = [...layers]
  for (let i = layers.length - 2; i >= 0; i--) sorted[i] = sortBy(layers[i], after, sorted[i + 1])
  return sorted
}

function sortBy(layer, neighbours, fixed) {
  const position = new Map(fixed.map((id, i) => [id, i]))
  const wish = new Map(
    layer.map((id, i) => {
      const known = neighbours.get(id).map(n => position.get(n))
      return [id, known.length === 0 ? i : known.reduce((sum, p) => sum + p, 0) / known.length]
    }),
  )
  return [...layer].sort((a, b) => wish.get(a) - wish.get(b))
}

function crossings(layers, after) {
  let count = 0
  for (let i = 0; i + 1 < layers.length; i++) {
    const position = new Map(layers[i + 1].map((id, at) => [id, at]))
    const ends = layers[i].flatMap(id =>
      after
        .get(id)
        .map(n => position.get(n))
        .sort((a, b) => a - b),
    )
    for (let a = 0; a < ends.length; a++) {
      for (let b = a + 1; b < ends.length; b++) if (ends[a] > ends[b]) count++
    }
  }
  return count
}
