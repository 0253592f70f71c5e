/** Numbers as people read them: absent means not measured and stays blank; 0 is a measured zero. */
export function count(value: number | undefined): string {
  return value === undefined ? '' : scaled(value, ['', 'k', 'M', 'G', 'T', 'P'])
}

export function bytes(value: number): string {
  return scaled(value, [' B', ' kB', ' MB', ' GB', ' TB', ' PB'])
}

export function micros(value: number | undefined): string {
  return value === undefined ? '' : scaled(value, [' µs', ' ms', ' s'])
}

function scaled(value: number, units: readonly string[]): string {
  let unit = 0
  let shown = value
  while (shown >= 9_999.5 && unit < units.length - 1) {
    shown /= 1000
    unit += 1
  }
  return `${unit > 0 && shown < 100 ? shown.toFixed(1) : Math.round(shown)}${units[unit]}`
}
