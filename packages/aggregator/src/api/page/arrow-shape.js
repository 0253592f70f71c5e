/** The lines of arrows and where their labels go. Pure. */

/** One smooth line through the points, level where it leaves and where it arrives. */
export function pathText(points) {
  const parts = [`M${points[0].map(n => n.toFixed(1)).join(' ')}`]
  for (let i = 1; i < points.length; i++) {
    const [fromX, fromY] = points[i - 1]
    const [toX, toY] = points[i]
    const middle = (fromX + toX) / 2
    parts.push(`C${[middle, fromY, middle, toY, toX, toY].map(n => n.toFixed(1)).join(' ')}`)
  }
  return parts.join('')
}

/** From a box back into itself. */
export function loopPath([[x, fromY], [, toY]]) {
  return `M${x} ${fromY}C${x + 48} ${fromY - 6} ${x + 48} ${toY + 6} ${x} ${toY}`
}

const letterWidth = 6.4
const lineHeight = 13

/**
 * A place for each label near its line, clear of boxes and of labels placed before; `free` is false where there is none,
 * and the label is then shown only while its arrow is pointed at.
 */
export function placeLabels(labels, boxes, boxSize = { width: 178, height: 46 }) {
  const taken = boxes.map(({ x, y }) => ({
    left: x,
    right: x + boxSize.width,
    top: y,
    bottom: y + boxSize.height,
  }))
  const places = new Map()
  for (const { id, text, points } of labels) {
    const width = text.length * letterWidth
    const spots = candidates(points, width)
    const chosen = spots.find(spot => isClear(areaOf(spot, width), taken))
    const { x, y } = chosen ?? spots[0]
    if (chosen !== undefined) taken.push(areaOf(chosen, width))
    places.set(id, { x, y, free: chosen !== undefined })
  }
  return places
}

function areaOf({ x, y }, width) {
  return { left: x - width / 2, right: x + width / 2, top: y - lineHeight + 2, bottom: y + 3 }
}

function isClear(area, taken) {
  return taken.every(
    other =>
      area.right < other.left ||
      area.left > other.right ||
      area.bottom < other.top ||
      area.top > other.bottom,
  )
}

function candidates(points, width) {
  if (points.length === 2 && points[0][0] === points[1][0]) {
    return [{ x: points[0][0] + 42 + width / 2, y: (points[0][1] + points[1][1]) / 2 + 4 }]
  }
  const spots = []
  const ordered = points[0][0] <= points.at(-1)[0] ? points : [...points].reverse()
  for (const lift of [-6, 14]) {
    for (let i = 1; i < ordered.length; i++) {
      for (const t of [0.5, 0.4, 0.6, 0.3, 0.7]) {
        const { x, y } = pointAt(ordered[i - 1], ordered[i], t)
        spots.push({ x, y: y + lift })
      }
    }
  }
  return spots
}

function pointAt([fromX, fromY], [toX, toY], t) {
  const back = 1 - t
  const alongX = 1.5 * back * back * t + 1.5 * back * t * t + t * t * t
  const alongY = 3 * back * t * t + t * t * t
  return { x: fromX + (toX - fromX) * alongX, y: fromY + (toY - fromY) * alongY }
}
