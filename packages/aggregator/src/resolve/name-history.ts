import { LRUCache } from 'lru-cache'

const versionsPerAddress = 8
const longestName = 253

export interface NameVersion {
  readonly name: string
  readonly seenMs: number
}

/** Names that DNS answers gave to addresses, per node and over time. Bounded: least recently used go first. */
export interface NameHistory {
  /** Learns one answer. False if the address had that name at that time already, or the name can't be one. */
  learn(node: number, address: string, name: string, seenMs: number): boolean
  /** The newest version not younger than `atMs`. */
  at(node: number, address: string, atMs: number): NameVersion | undefined
}

/** `onForgotten` hears when an address' names were evicted. */
export function createNameHistory(maxAddresses: number, onForgotten: () => void): NameHistory {
  const histories = new LRUCache<string, NameVersion[]>({
    max: maxAddresses,
    dispose: (_versions, _key, reason) => {
      if (reason === 'evict') onForgotten()
    },
  })
  return {
    learn(node, address, rawName, seenMs) {
      const name = normalName(rawName)
      if (name === undefined || !Number.isFinite(seenMs)) return false
      const key = `${node} ${address}`
      const versions = histories.get(key)
      if (versions) return insertVersion(versions, name, seenMs)
      histories.set(key, [{ name, seenMs }])
      return true
    },
    at: (node, address, atMs) => histories.get(`${node} ${address}`)?.find(v => v.seenMs <= atMs),
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
