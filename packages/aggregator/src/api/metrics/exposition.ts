/** Text in Prometheus' exposition format, written by hand: one pass, no registry, nothing kept between scrapes. */
export class Exposition {
  #text = ''

  /** Starts a metric. Samples that follow belong to it. */
  family(name: string, type: 'counter' | 'gauge', help: string): (value: number, labels?: Labels) => void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    return (value, labels) => {
      this.#text += `${name}${labels === undefined ? '' : labelText(labels)} ${numberText(value)}\n`
    }
  }

  toString(): string {
    return this.#text
  }
}

export type Labels = Readonly<Record<string, string>>

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return `{${parts.join(',')}}`
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}
