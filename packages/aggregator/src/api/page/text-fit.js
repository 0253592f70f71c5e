/** Shortens text in its middle until it fits, measured in the font that draws it. */

const pen = document.createElement('canvas').getContext('2d')
const known = new Map()
const most = 2000

export function fitText(text, font, width) {
  const key = `${font}\n${width}\n${text}`
  let fitted = known.get(key)
  if (fitted === undefined) {
    fitted = shorten(text, font, width)
    if (known.size >= most) known.clear()
    known.set(key, fitted)
  }
  return fitted
}

function shorten(text, font, width) {
  pen.font = `${font} ${getComputedStyle(document.body).fontFamily}`
  const fits = candidate => pen.measureText(candidate).width <= width
  const characters = [...text.slice(0, 400)]
  if (characters.length === text.length && fits(text)) return text
  for (let kept = Math.min(characters.length - 1, 60); kept > 2; kept--) {
    const tail = Math.min(9, Math.floor(kept / 3))
    const candidate = `${characters.slice(0, kept - tail).join('')}…${characters.slice(-tail).join('')}`
    if (fits(candidate)) return candidate
  }
  return '…'
}
