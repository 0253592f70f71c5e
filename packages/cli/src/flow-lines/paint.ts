/** Colours of a terminal. */
const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, magenta: 35, cyan: 36 } as const

export type Colour = keyof typeof codes
export type Paint = (colour: Colour, text: string) => string

export const noPaint: Paint = (_, text) => text

/** For a terminal. `text` must be printable already. */
export const terminalPaint: Paint = (colour, text) =>
  text === '' ? '' : `\u001b[${codes[colour]}m${text}\u001b[0m`
