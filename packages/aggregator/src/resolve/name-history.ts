import { LRUCache } from 'lru-cache'
import { addressText, wordsOfBytes } from './address-text.ts'

const versionsPerAddress = 8
const longestName = 253
/** Changes whose time is remembered, so that answers for older windows keep their generation. */
const rememberedChanges = 4096

export interface NameVersion {
  readonly name: string
  readonly seenMs: number
}

/** Names that DNS answers gave to addresses, per node and over time. Bounded: least recently used go first. */
export interface NameHistory {
  /** Learns one answer; a name that the address already had at that time changes nothing. */
  learn(node: number, address: Uint8Array, name: string, seenMs: number): void
  learnText(node: number, address: string, name: string, seenMs: number): void
  /** The newest version not younger than `atMs`. */
  at(node: number, address: string, atMs: number): NameVersion | undefined
  /** How many changes were ever made, and how many of them concern times up to `atMs`. */
  revision(): number
  revisionAt(atMs: number): number
}

export function createNameHistory(maxAddresses: number): NameHistory {
  let changes = 0
  const changeTimes = new Float64Array(rememberedChanges).fill(Number.NEGATIVE_INFINITY)
  const changed = (seenMs: number) => {
    changeTimes[changes++ % rememberedChanges] = seenMs
  }
  const histories = new LRUCache<string, NameVersion[]>({
    max: maxAddresses,
    dispose: (versions, _key, reason) => {
      if (reason === 'evict') changed(versions.at(-1)!.seenMs)
    },
  })

  function learnText(node: number, address: string, rawName: string, seenMs: number): void {
    const name = normalName(rawName)
    if (name === undefined || !Number.isFinite(seenMs)) return
    const key = `${node} ${address}`
    const versions = histories.get(key)
    if (!versions) {
      histories.set(key, [{ name, seenMs }])
      changed(seenMs)
    } else if (insertVersion(versions, name, seenMs)) changed(seenMs)
  }

  return {
    learnText,
    learn(node, bytes, name, seenMs) {
      const words = wordsOfBytes(bytes)
      if (words) learnText(node, addressText(words.w0, words.w1, words.w2, words.w3), name, seenMs)
    },
    at(node, address, atMs) {
      return histories.get(`${node} ${address}`)?.find(v => v.seenMs <= atMs)
    },
    revision: () => changes,
    revisionAt(atMs) {
      let later = 0
      for (const time of changeTimes) if (time > atMs) later++
      return changes - later
    },
  }
}

/** Newest first. Answers false if the name held at that time already. */
function insertVersion(versions: NameVersion[], name: string, seenMs: number): boolean {
  let at = versions.findIndex(v => v.seenMs <= seenMs)
  if (at < 0) at = versions.length
  if (versions[at]?.name === name) return false
  if (versions[at]?.seenMs === seenMs) return keepSmaller(versions, at, name)
  // the same name, now known to have begun earlier
  if (at > 0 && versions[at - 1].name === name) versions[at - 1] = { name, seenMs }
  else versions.splice(at, 0, { name, seenMs })
  if (versions.length > versionsPerAddress) versions.pop()
  return true
}

/** Two names at one instant: the smaller one counts, whichever came first, so that order changes nothing. */
function keepSmaller(versions: NameVersion[], at: number, name: string): boolean {
  const held = versions[at]
  if (held.name <= name) return false
  versions[at] = { name, seenMs: held.seenMs }
  return true
}

function normalName(raw: string): string | undefined {
  const name = raw.toLowerCase().replace(/\.$/, '')
  return name === '' || name.length > longestName ? undefined : name
}
