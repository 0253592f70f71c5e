import { describe, expect, it } from 'vitest'
import { formatExposition } from './exposition.ts'

describe('formatExposition', () => {
  it('writes help, type and samples, with everything escaped that must be', () => {
    const text = formatExposition([
      {
        name: 'skybraid_records_lost_total',
        help: 'Records lost,\nby "place" \\ cause',
        type: 'counter',
        samples: [
          { labels: { place: 'ring_full', node: 'a"b\\c\nd' }, value: 3 },
          { labels: {}, value: 0.5 },
        ],
      },
      {
        name: 'skybraid_delay_seconds',
        help: 'h',
        type: 'histogram',
        samples: [
          { suffix: '_bucket', labels: { le: '+Inf' }, value: 1 },
          { suffix: '_sum', value: Number.POSITIVE_INFINITY },
        ],
      },
    ])
    expect(text).toBe(
      [
        '# HELP skybraid_records_lost_total Records lost,\\nby "place" \\\\ cause',
        '# TYPE skybraid_records_lost_total counter',
        'skybraid_records_lost_total{place="ring_full",node="a\\"b\\\\c\\nd"} 3',
        'skybraid_records_lost_total 0.5',
        '# HELP skybraid_delay_seconds h',
        '# TYPE skybraid_delay_seconds histogram',
        'skybraid_delay_seconds_bucket{le="+Inf"} 1',
        'skybraid_delay_seconds_sum +Inf',
        '',
      ].join('\n'),
    )
  })

  it('refuses names that Prometheus would refuse', () => {
    const metric = { name: 'a', help: '', type: 'gauge' as const, samples: [] }
    expect(() => formatExposition([{ ...metric, name: 'a-b' }])).toThrow(RangeError)
    expect(() => formatExposition([{ ...metric, samples: [{ labels: { 'a:b': '' }, value: 1 }] }])).toThrow(
      RangeError,
    )
  })
})
