import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wordsOfText } from './address-text.ts'
import { createEntityIndex } from './entity-index.ts'
import { createKubeNames, type KubeNames } from './kube-names.ts'
import { createKubeTrimmer } from './kube-trim.ts'

const day = Date.UTC(2026, 0, 1)
const iso = (ms: number) => new Date(Math.floor(ms / 1000) * 1000).toISOString()

/** What really happened to one pod. */
interface Life {
  readonly uid: string
  readonly address: string
  readonly startMs: number
  /** Its containers run, and it has its address for certain, from here to the end. */
  readonly runMs: number
  readonly endMs: number
  readonly goneMs: number
}

type Event = { readonly seenMs: number; apply(names: KubeNames, seenMs: number): void }

const { pod: trim } = createKubeTrimmer()

function podObject(life: Life, version: number, stage: 'new' | 'running' | 'ended') {
  const startedAt = iso(life.runMs)
  const state =
    stage === 'ended'
      ? { terminated: { startedAt, finishedAt: iso(life.endMs), containerID: `containerd://${life.uid}c` } }
      : { running: { startedAt } }
  return trim({
    metadata: {
      uid: life.uid,
      name: `pod-${life.uid}`,
      namespace: 'shop',
      resourceVersion: String(version),
      ...(stage === 'ended' && { deletionTimestamp: iso(life.endMs + 30_000) }),
      labels: { app: 'web' },
    },
    spec: { nodeName: 'n1', restartPolicy: 'Always' },
    status: {
      startTime: iso(life.startMs),
      ...(stage !== 'new' && {
        podIPs: [{ ip: life.address }],
        containerStatuses: [{ name: 'c', containerID: `containerd://${life.uid}c`, state }],
      }),
    },
  })!
}

/** Each state as the watch would show it, some time after it began. */
function eventsOf(life: Life, delayMs: number, version: number): Event[] {
  const put = (stage: 'new' | 'running' | 'ended', atMs: number, v: number): Event => ({
    seenMs: atMs + delayMs,
    apply: (names, seenMs) => names.index.put(podObject(life, v, stage), seenMs),
  })
  return [
    put('new', life.startMs, version),
    put('running', life.runMs, version + 1),
    put('ended', life.endMs, version + 2),
    {
      seenMs: life.goneMs + delayMs,
      apply: (names, seenMs) => names.index.gone('pod', life.uid, seenMs),
    },
  ]
}

/** Lives of pods that are given one address after another, some within a second. */
const livesArb = fc
  .array(
    fc.record({
      idleMs: fc.integer({ min: 0, max: 4000 }),
      waitMs: fc.integer({ min: 0, max: 3000 }),
      runMs: fc.integer({ min: 200, max: 20_000 }),
      lingerMs: fc.integer({ min: 0, max: 5000 }),
    }),
    { minLength: 2, maxLength: 6 },
  )
  .map(parts => {
    let at = day
    return parts.map(({ idleMs, waitMs, runMs, lingerMs }, i): Life => {
      const run = at + idleMs + 1
      const life = {
        uid: `u${i}`,
        address: '10.1.2.3',
        // accepted by its node while the one before still had the address, or after
        startMs: run - waitMs,
        runMs: run,
        endMs: run + runMs,
        goneMs: run + runMs + lingerMs,
      }
      at = life.endMs
      return life
    })
  })

const words = wordsOfText('10.1.2.3')!

describe('names of addresses by time', () => {
  it('are never those of another pod, whatever the order of events, and known once all of them are', () => {
    fc.assert(
      fc.property(
        livesArb,
        fc.integer({ min: 0, max: 2000 }),
        fc.infiniteStream(fc.nat()),
        (lives, delayMs, random) => {
          const names = createKubeNames()
          const ordered = lives.flatMap((life, i) => eventsOf(life, delayMs, 10 * i + 1))
          // any order, and each event perhaps again; a later event of a pod is not seen before it happened
          const shuffled = [...ordered, ...ordered.filter(() => random.next().value! % 3 === 0)]
            .map(event => ({ event, key: random.next().value! }))
            .sort((a, b) => a.key - b.key)
          for (const { event } of shuffled) event.apply(names, event.seenMs)
          for (const life of lives)
            for (const atMs of [life.runMs, (life.runMs + life.endMs) / 2, life.endMs - 1]) {
              const claim = names.claimAt(words.w0, words.w1, words.w2, words.w3, atMs)
              const found = claim && names.identityOfClaim(claim).name
              if (found !== undefined) expect(found).toBe(`pod-${life.uid}`)
              // clear of every end by more than the clocks may differ
              const isClear = atMs - life.runMs > 2600 && life.endMs - atMs > 2600
              if (isClear) expect(found).toBe(`pod-${life.uid}`)
            }
        },
      ),
    )
  })

  it('are right in an index that is used while events come late: 1,000 reuses, none wrong', () => {
    const names = createKubeNames()
    names.synced()
    const index = createEntityIndex({ source: names })
    const client = index.node('n9')
    const lives: Life[] = []
    const feed: Event[] = []
    for (let i = 0; i < 1000; i++) {
      const address = `10.9.${i % 10}.7`
      const runMs = day + Math.floor(i / 10) * 7000 + (i % 10) * 130
      const life = {
        uid: `u${i}`,
        address,
        startMs: runMs - 900,
        runMs,
        endMs: runMs + 6800,
        goneMs: runMs + 7600,
      }
      lives.push(life)
      feed.push(...eventsOf(life, 50 + ((i * 37) % 900), 10 * i + 1))
    }
    const used: { id: number; life: Life }[] = []
    const uses = lives.flatMap(life =>
      [life.runMs + 100, life.runMs + 3400, life.endMs - 1].map(ms => ({ ms, life })),
    )
    const all = [
      ...feed.map(event => ({ atMs: event.seenMs, run: () => event.apply(names, event.seenMs) })),
      // a record comes half a second after its connection began
      ...uses.map(({ ms, life }) => ({
        atMs: ms + 500,
        run: () => {
          const { w0, w1, w2, w3 } = wordsOfText(life.address)!
          used.push({ id: index.ofAddress(client, w0, w1, w2, w3, ms), life })
        },
      })),
    ].sort((a, b) => a.atMs - b.atMs)
    for (const { run } of all) run()
    let named = 0
    for (const { id, life } of used) {
      const group = index.group(id, 'pod', day)
      if (group.kind !== 'pod') continue
      expect(group.name).toBe(`pod-${life.uid}`)
      named++
    }
    expect(used).toHaveLength(3000)
    expect(named).toBeGreaterThan(500)
  })
})
