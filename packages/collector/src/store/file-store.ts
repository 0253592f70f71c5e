import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { BatchStore } from '../batch/batch-store.ts'
import type { SealedBatch } from '../batch/seal.ts'
import type { Log } from '../log.ts'
import { decodeBatchFile, encodeBatchFile, largestFileBytes } from './batch-file.ts'

export interface FileStoreOptions {
  /** Shared by the nodes and clusters that use it; each has a folder of its own in it. */
  readonly directory: string
  readonly capacityBytes: number
  readonly cluster: string
  readonly node: string
  readonly bootId: string
  readonly log: Log
}

interface Entry {
  readonly name: string
  readonly bytes: number
  readonly records: number
  readonly isFormer: boolean
}

const blockBytes = 4_096
const logAgainMs = 10_000
const fileName = /^[0-9a-f]{16}-\d{12}\.batch$/

/**
 * A store of one file per batch. What a former process of this node left is handed out first, under its own boot and
 * sequence, so that it counts once whether or not it was published before. It outlives the process, not a crash of the
 * machine: nothing is synced. A folder that can't be written is no store: every `put` then answers false.
 */
export function openFileStore(options: FileStoreOptions): BatchStore {
  const { capacityBytes, node, bootId, log } = options
  const folder = resolve(options.directory, `${options.cluster}.${node}`)
  const handedOut = new Map<SealedBatch, Entry>()
  const counts = {
    waitingBatches: 0,
    waitingRecords: 0,
    bytes: 0,
    capacityBytes,
    formerBatches: 0,
    lostRecords: 0,
    broken: 0,
    failedWrites: 0,
  }
  let nextLogMs = 0
  const waiting = makeFolder() ? leftBehind(folder, bootId, noteFailure) : []
  let head = 0
  for (const entry of waiting) count(entry, 1)

  function makeFolder(): boolean {
    try {
      makeFolders(folder)
      return true
    } catch (error) {
      noteFailure(error)
      return false
    }
  }

  function noteFailure(err: unknown): void {
    counts.failedWrites++
    if (performance.now() < nextLogMs) return
    nextLogMs = performance.now() + logAgainMs
    log.warn({ err, folder }, 'the folder of the spool cannot be written; batches stay in memory')
  }

  function count({ isFormer, records, bytes }: Entry, sign: 1 | -1): void {
    counts.bytes += sign * bytes
    if (isFormer) {
      counts.formerBatches += sign
    } else {
      counts.waitingBatches += sign
      counts.waitingRecords += sign * records
    }
  }

  function write(batch: SealedBatch): Entry | undefined {
    const file = encodeBatchFile(batch)
    if (file === undefined) return undefined
    const bytes = onDisk(file.length)
    if (counts.bytes + bytes > capacityBytes || !makeFolder()) return undefined
    const name = `${bootId}-${String(batch.order).padStart(12, '0')}.batch`
    try {
      writeFileSync(join(folder, name), file, { mode: 0o600 })
      return { name, bytes, records: batch.recordCount, isFormer: false }
    } catch (error) {
      noteFailure(error)
      remove(name)
      return undefined
    }
  }

  function remove(name: string): void {
    try {
      rmSync(join(folder, name), { force: true })
    } catch (error) {
      // it will be published again, which does no harm
      noteFailure(error)
    }
  }

  function read(entry: Entry): SealedBatch | undefined {
    let batch: SealedBatch | undefined
    try {
      batch = decodeBatchFile(readFileSync(join(folder, entry.name)), node)
    } catch {
      // gone or unreadable: as good as torn
    }
    if (batch === undefined) {
      counts.broken++
      counts.bytes -= entry.bytes
      if (!entry.isFormer) counts.lostRecords += entry.records
      remove(entry.name)
    }
    return entry.isFormer && batch !== undefined ? { ...batch, isFormer: true } : batch
  }

  return {
    counts,
    put(batch) {
      const known = handedOut.get(batch)
      const entry = known ?? write(batch)
      if (entry === undefined) return false
      handedOut.delete(batch)
      waiting.push(entry)
      count(entry, 1)
      if (known !== undefined) counts.bytes -= entry.bytes
      return true
    },
    next() {
      while (head < waiting.length) {
        const entry = waiting[head++]
        if (head > 64 && head * 2 > waiting.length) {
          waiting.splice(0, head)
          head = 0
        }
        count(entry, -1)
        counts.bytes += entry.bytes
        const batch = read(entry)
        if (batch === undefined) continue
        handedOut.set(batch, entry)
        return batch
      }
      return undefined
    },
    forget(batch) {
      const entry = handedOut.get(batch)
      if (entry === undefined) return
      handedOut.delete(batch)
      counts.bytes -= entry.bytes
      remove(entry.name)
    },
  }
}

/** Folder by folder, because Node's own recursive way never ends where the kernel says that a parent is missing. */
function makeFolders(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory()) return
  if (found !== undefined) throw new Error(`${path} is not a folder`)
  if (dirname(path) !== path) makeFolders(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}

/** Files of former boots by boot and order, as far as the folder shows them. How many records each holds shows when it is read. */
function leftBehind(folder: string, ownBoot: string, onFailure: (error: unknown) => void): Entry[] {
  const tried = <T>(look: () => T): T | undefined => {
    try {
      return look()
    } catch (error) {
      onFailure(error)
      return undefined
    }
  }
  const names = tried(() => readdirSync(folder)) ?? []
  const former = names.filter(name => fileName.test(name) && !name.startsWith(ownBoot))
  return former.sort().flatMap(name => {
    const size = tried(() => statSync(join(folder, name), { throwIfNoEntry: false }))?.size
    if (size === undefined || size > largestFileBytes) return []
    return [{ name, bytes: onDisk(size), records: 0, isFormer: true }]
  })
}

function onDisk(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes
}
