import { describe, expect, it } from 'vitest'
import { noCounts } from './access-log.ts'
import { createFigureBook } from './figure-book.ts'
import { encodeFigures, figuresInWords } from './oap-metrics.ts'

const minute = 29_500_000
const nowMs = minute * 60_000
const end = (service: string) => ({ service, pod: 'pod-0', properties: [] })

/** What `web` saw of so many servers, one request each. */
function figuresOf(servers: readonly string[], count = 1) {
  const book = createFigureBook()
  for (const server of servers)
    book.addOperation(end('web'), end(server), minute, {
      role: 0,
      protocol: 'redis',
      name: 'GET',
      status: 0,
      isError: false,
      count,
      latencies: [],
      requestBytes: 0,
      responseBytes: 0,
    })
  return book.drain().get(minute)!
}

function encoded(unixMinute: number, servers: readonly string[], count = 1) {
  const counts = noCounts()
  const figures = figuresOf(servers, count)
  const points = [...encodeFigures({ unixMinute, figures }, nowMs, counts)].map(({ points }) => points)
  const words = [...figuresInWords({ unixMinute, figures }, nowMs, noCounts())]
  return { points, words: words.length, refused: counts.refused }
}

describe('what goes as metrics beside the access log', () => {
  it('is of minutes that OAP has tables for, and the rest is counted', () => {
    for (const of of [minute - 30, minute, minute + 3])
      expect(encoded(of, ['api', 'db'])).toEqual({ points: [2], words: 2, refused: {} })
    for (const of of [minute - 31, minute + 4, 0, minute + 0.5])
      expect(encoded(of, ['api', 'db'])).toEqual({
        points: [],
        words: 0,
        refused: { minute_out_of_range: 2 },
      })
  })

  it('names no address and nothing that OAP would cut', () => {
    const bad = ['192.0.2.1', 'n'.repeat(71), 'Unknown']
    expect(encoded(minute, ['api', ...bad])).toEqual({
      points: [1],
      words: 1,
      refused: { address_as_name: 2, name_too_long: 1 },
    })
  })

  it('is whole numbers, or left out and counted', () => {
    for (const count of [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60])
      expect(encoded(minute, ['api'], count)).toEqual({ points: [], words: 0, refused: { bad_amount: 1 } })
    // taken back after it was told: OAP takes nothing back
    expect(encoded(minute, ['api'], -3)).toEqual({ points: [], words: 0, refused: {} })
  })

  it('tells 2,000 pairs of services apart in a minute, and of the others as of external', () => {
    const servers = Array.from({ length: 2_003 }, (_, i) => `server-${i}`)
    const all = figuresOf(servers)
    expect(all).toHaveLength(2_001)
    const [beyond] = all.slice(-1)
    expect(beyond).toMatchObject({ service: 'web', peer: '' })
    expect([...beyond!.requests.values()]).toMatchObject([{ count: 3 }])
  })
})
