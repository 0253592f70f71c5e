/**
 * Makes a text from outside (a process or DNS name) safe to print on a terminal: control, format, bidirectional and
 * combining characters become visible escapes, so that every character left takes one column. Cut to `width` columns.
 */
export function printable(text: string, width = 200): string {
  if (text.length <= width && plain.test(text)) return text
  let out = ''
  let columns = 0
  for (const character of text) {
    const piece = strange.test(character) ? `\\u{${character.codePointAt(0)!.toString(16)}}` : character
    columns += piece.length
    if (columns > width) return `${out.slice(0, Math.max(0, width - 1))}…`
    out += piece
  }
  return out
}

// what is neither a plain printable character nor of one column; U+1100 and up starts the wide scripts
const strange = /[\p{C}\p{M}\p{Zl}\p{Zp}\u{1100}-\u{10ffff}]/u
const plain = /^[ -~]*$/
