import { formatExposition, type Metric, type Sample } from '@skybraid/shared'

export type Labels = Readonly<Record<string, string>>

/** The metrics of one scrape; nothing is kept between scrapes. */
export class MetricSet {
  readonly #metrics: Metric[] = []

  /** Starts a metric and returns how to add its samples. */
  family(name: string, type: 'counter' | 'gauge', help: string): (value: number, labels?: Labels) => void {
    const samples: Sample[] = []
    this.#metrics.push({ name, type, help, samples })
    return (value, labels) => {
      samples.push(labels === undefined ? { value } : { value, labels })
    }
  }

  /** The scrape in Prometheus' text format. */
  toString(): string {
    return formatExposition(this.#metrics)
  }
}
