import pino from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { MinuteTake } from './oap/interval/export-book.ts'
import { noPairs } from './oap/interval/packed-pairs.ts'
import { type ExportSink, startTaking, type Taking } from './take-exports.ts'

const log = pino({ level: 'silent' })
/** In the middle of an interval of the clock. */
const startMs = Date.UTC(2026, 10, 27, 12, 0, 3)
const one: readonly MinuteTake[] = [{ unixMinute: 1, pairs: noPairs, requests: [], figures: [] }]

let taking: Taking
/** What was asked for at which second after the full minute. */
let asked: string[]
let isBroken: boolean
let takes: (readonly MinuteTake[])[]
let settled: number

beforeEach(() => {
  vi.useFakeTimers({ now: startMs })
  asked = []
  isBroken = false
  takes = []
  settled = 0
})

afterEach(async () => {
  await taking.close()
  vi.useRealTimers()
})

const at = (what: string) => asked.push(`${what} :${String((Date.now() / 1000) % 60).padStart(2, '0')}`)

function start(sinks: readonly ExportSink[]): void {
  const source = {
    mark() {
      at('mark')
      if (isBroken) throw new Error('mark')
    },
    async take() {
      at('take')
      if (isBroken) throw new Error('take')
      return { minutes: takes.shift() ?? [], settled: () => void settled++ }
    },
    flush: async () => {},
  }
  taking = startTaking(source, sinks, log, Date.now)
}

function sink() {
  const accepted: (readonly MinuteTake[])[] = []
  const settle: (() => void)[] = []
  const close = vi.fn(async () => {})
  const accept: ExportSink['accept'] = (minutes, done) => {
    accepted.push(minutes)
    settle.push(done)
  }
  return { accept, close, accepted, settle }
}

it('takes every 10 s, 2 s after each full interval of the clock', async () => {
  start([])
  await vi.advanceTimersByTimeAsync(60_000)
  const marks = ['10', '20', '30', '40', '50', '00']
  const wanted = marks.flatMap(second => [`mark :${second}`, `take :${second[0]}2`])
  expect(asked).toEqual(wanted)
})

it('goes on after what fails', async () => {
  start([])
  isBroken = true
  await vi.advanceTimersByTimeAsync(10_000)
  expect(asked).toEqual(['mark :10', 'take :12'])
  isBroken = false
  await vi.advanceTimersByTimeAsync(10_000)
  expect(asked.slice(2)).toEqual(['mark :20', 'take :22'])
})

it('hands every sink what there is, and nothing where there is nothing; it is settled once all have settled it', async () => {
  const sinks = [sink(), sink()]
  start(sinks)
  takes = [one, []]
  await vi.advanceTimersByTimeAsync(20_000)
  for (const each of sinks) expect(each.accepted).toEqual([one])
  sinks[0]!.settle[0]!()
  expect(settled).toBe(0)
  sinks[1]!.settle[0]!()
  expect(settled).toBe(1)
})

it('takes once more at the end, and then never again', async () => {
  const last = sink()
  start([last])
  takes = [one]
  await taking.close()
  expect(asked).toEqual(['take :03'])
  expect(last.accepted).toEqual([one])
  expect(last.close).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(asked).toHaveLength(1)
})
