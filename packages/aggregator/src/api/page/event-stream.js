/** Server-sent events out of the body of an answer: EventSource can't send a token. */

/**
 * Takes text in pieces, cut anywhere, and calls back with each event that is complete. Lines end by \n, as the
 * aggregator ends them.
 */
export function createEventParser(onEvent) {
  /** Pieces of a line that has not ended: a large snapshot comes in many. */
  let pieces = []
  let event = { type: '', data: [], id: undefined }
  return text => {
    pieces.push(text)
    if (!text.includes('\n')) return
    const lines = pieces.join('').split('\n')
    pieces = [lines.pop()]
    for (const line of lines) {
      if (line !== '') {
        takeLine(event, line)
        continue
      }
      if (event.data.length > 0) onEvent({ type: event.type, data: event.data.join('\n'), id: event.id })
      event = { type: '', data: [], id: undefined }
    }
  }
}

function takeLine(event, line) {
  const colon = line.indexOf(':')
  if (colon <= 0) return // a comment
  const value = line.slice(colon + 1).replace(/^ /, '')
  const field = line.slice(0, colon)
  if (field === 'event') event.type = value
  else if (field === 'data') event.data.push(value)
  else if (field === 'id') event.id = value
}

/** Reads until the stream ends or is cut. `onBytes` comes with every piece, comments too. */
export async function readEvents(body, { onBytes, onEvent }) {
  const feed = createEventParser(onEvent)
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    onBytes()
    feed(value)
  }
}
