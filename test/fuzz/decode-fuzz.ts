import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createFuzzTarget, type FuzzTarget, type Payload, seedMinuteMs } from './fuzz-target.ts'
import { hostilePayload, poked } from './payload-mutator.ts'
import { Random } from './random.ts'
import { keptSeeds, validSeeds, writeSeeds } from './seeds.ts'

/** Inputs that one target takes before a new one begins. */
const perTarget = 50_000
const slowestMs = 500
const memoryGrowthBytes = 64 * 2 ** 20
/** Inputs whose fate was new are changed further; so many of them are kept. */
const corpusSize = 600

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000000' },
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Adds inputs whose fate was new to test/fuzz/seeds. */
    keep: { type: 'boolean', default: false },
  },
})
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

interface Run {
  inputs: number
  rounds: number
  /** Of the processor: others may be running. */
  slowestMs: number
  readonly fates: Map<string, number>
  /** Seeds, and inputs whose fate was new. */
  readonly corpus: Uint8Array[]
  /** How many of the corpus are seeds, which stay. */
  readonly originals: number
}

async function main(): Promise<void> {
  const begun = performance.now()
  process.stdout.write(`seed ${values.seed}\n`)
  const random = new Random(Number(values.seed))
  const corpus = [...keptSeeds().map(({ bytes }) => bytes), ...validSeeds(64)]
  const [maxInputs, maxMs] = [Number(values.inputs), Number(values.seconds) * 1000]
  const run: Run = { inputs: 0, rounds: 0, slowestMs: 0, fates: new Map(), corpus, originals: corpus.length }
  const isOver = () => run.inputs >= maxInputs || performance.now() - begun > maxMs
  const empty = await memoryInUse()
  while (!isOver()) {
    run.rounds += await fillTarget(run, random, isOver)
    const grown = (await memoryInUse()) - empty
    if (grown > memoryGrowthBytes) fail(`memory grew by ${grown} bytes`, undefined, run)
  }
  report(run, (performance.now() - begun) / 1000)
  if (values.keep) writeSeeds(corpus.slice(run.originals))
}

async function fillTarget(run: Run, random: Random, isOver: () => boolean): Promise<number> {
  const target = createFuzzTarget()
  let last: Payload | undefined
  for (let index = 0; index < perTarget; index++) {
    if (index % 256 === 0) {
      if (isOver()) return target.rounds()
      // a decompression that failed gives its buffers back only when the event loop turns
      await new Promise(resolve => setImmediate(resolve))
    }
    const payload = nextPayload(index, last, run, random)
    last = payload
    const isNew = takeOne(target, payload, run)
    if (isNew && payload.encoding === 'raw' && payload.data.length < 2_048) keep(run, payload.data, random)
  }
  return target.rounds()
}

/** Every eighth one is new in its structure; those between are variants of it. Large ones would take the time. */
function nextPayload(index: number, last: Payload | undefined, run: Run, random: Random): Payload {
  const isVariant = index % 8 !== 0 && last?.encoding === 'raw' && last.data.length < 8_192
  return isVariant ? poked(last!, random) : hostilePayload(run.corpus, random, seedMinuteMs)
}

/** After what is not used any more was given back. */
async function memoryInUse(): Promise<number> {
  for (let round = 0; round < 2; round++) {
    await new Promise(resolve => setTimeout(resolve, 10))
    collect()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function report({ inputs, rounds, fates, slowestMs: slowest }: Run, seconds: number): void {
  for (const [fate, count] of [...fates].sort((a, b) => b[1] - a[1]).slice(0, 24))
    process.stdout.write(`${String(count).padStart(10)}  ${fate}\n`)
  const rss = Math.round(process.resourceUsage().maxRSS / 1024)
  process.stdout.write(
    `${inputs} inputs in ${seconds.toFixed(1)} s, ${fates.size} different fates, ${rounds} rounds read back, the slowest took ${slowest.toFixed(1)} ms of the processor, at most ${rss} MB resident\n`,
  )
}

/** Whether it fared as none before. */
function takeOne(target: FuzzTarget, payload: Payload, run: Run): boolean {
  run.inputs++
  const begun = process.threadCpuUsage()
  let fate: string
  try {
    fate = target.take(payload)
  } catch (error) {
    fail((error as Error).stack ?? String(error), payload, run)
  }
  const { user, system } = process.threadCpuUsage(begun)
  const ms = (user + system) / 1000
  if (ms > run.slowestMs) run.slowestMs = ms
  if (ms > slowestMs) fail(`it took ${ms.toFixed(0)} ms of the processor`, payload, run)
  const count = run.fates.get(fate) ?? 0
  run.fates.set(fate, count + 1)
  return count === 0
}

function keep({ corpus, originals }: Run, data: Uint8Array, random: Random): void {
  const kept = Uint8Array.from(data)
  if (corpus.length < corpusSize) corpus.push(kept)
  else corpus[originals + random.below(corpusSize - originals)] = kept
}

function fail(what: string, payload: Payload | undefined, { inputs }: Run): never {
  process.stderr.write(`input ${inputs} of seed ${values.seed}: ${what}\n`)
  if (payload !== undefined) {
    mkdirSync('.cache/fuzz', { recursive: true })
    const hash = createHash('sha256').update(payload.data).digest('hex').slice(0, 12)
    const path = `.cache/fuzz/${payload.encoding}-${hash}.bin`
    writeFileSync(path, payload.data)
    process.stderr.write(`kept in ${path}\n`)
  }
  process.exit(1)
}

await main()
