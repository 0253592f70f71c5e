import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { blockMinutes } from '../topology/segment-archive.ts'
import { headerWords, segmentHeader, segmentMagic } from '../topology/segment-bytes.ts'
import { claimDataFolder } from './data-folder.ts'

export interface SegmentStoreOptions {
  readonly directory: string
  /** Single minutes are kept this long on disk, merged ones so long. */
  readonly minutesKept?: number
  readonly mergedMinutesKept?: number
  /** A larger file is not read: it can't be one of ours. */
  readonly maxFileBytes?: number
}

export interface SegmentStoreStats {
  readonly files: number
  readonly bytes: number
  /** Ends of files that a crash cut off in the middle of a segment; they are removed. */
  readonly tornTails: number
  readonly tornBytes: number
  /** Files that could not be read or written, with the last reason. */
  readonly failures: number
  readonly lastFailure: string
}

/** What `Topology.load` answers, as far as the store is concerned. */
export type LoadSegment = (bytes: Uint8Array) => { readonly ok: boolean }

/**
 * Segments on disk: per ten minutes one file of single minutes, `minutes-<first minute>.seg`, and later one with their
 * sum, `merged-<first minute>.seg`. A file is segments one after another; each carries its length and its checksum.
 */
export interface SegmentStore {
  /** Gives every segment kept on disk to `load`, oldest first, and cuts off torn ends. Answers how many were taken. */
  loadAll(load: LoadSegment): { readonly loaded: number; readonly refused: number }
  append(bytes: Uint8Array, segment: { readonly fromMinute: number; readonly minutes: number }): void
  /** Removes files that are too old. */
  prune(nowMs: number): void
  /** Writes through to the disk. Nothing may be appended afterwards. */
  close(): void
  /** The process that used the folder before was killed: what it had of its running minute is missing. */
  readonly wasKilled: boolean
  stats(): SegmentStoreStats
}

interface OpenFile {
  readonly name: string
  readonly fd: number
}

const filePattern = /^(minutes|merged)-(\d{1,10})\.seg$/

/** Opens (and makes) the directory; throws if that is not possible. Later failures are counted, not thrown. */
export function openSegmentStore(options: SegmentStoreOptions): SegmentStore {
  const { directory, minutesKept = 120, mergedMinutesKept = 24 * 60, maxFileBytes = 2 ** 31 - 1 } = options
  const folder = claimDataFolder(directory)
  let current: OpenFile | undefined
  let tornTails = 0
  let tornBytes = 0
  let failures = 0
  let lastFailure = ''

  function attempt<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      failures++
      lastFailure = error instanceof Error ? error.message : String(error)
      return undefined
    }
  }

  function files(): { name: string; kind: string; minute: number }[] {
    return readdirSync(directory)
      .map(name => filePattern.exec(name))
      .filter(match => match !== null)
      .map(([name, kind, minute]) => ({ name, kind, minute: Number(minute) }))
      .sort((a, b) => a.minute - b.minute || (a.kind < b.kind ? -1 : 1))
  }

  function cut(path: string, at: number, length: number): void {
    tornTails++
    tornBytes += length - at
    truncateSync(path, at)
  }

  function loadFile(path: string, load: LoadSegment, count: { loaded: number; refused: number }): void {
    if (statSync(path).size > maxFileBytes) throw new Error(`${path} is larger than any segment file`)
    const bytes = readFileSync(path)
    let at = 0
    while (at < bytes.length) {
      const length = lengthAt(bytes, at)
      if (length === 0) {
        cut(path, at, bytes.length)
        return
      }
      // copied into plain bytes, because a slice of a file's buffer is not aligned and a Buffer's own slice is a view
      if (load(new Uint8Array(bytes.subarray(at, at + length))).ok) count.loaded++
      else count.refused++
      at += length
    }
  }

  function fileFor(name: string): OpenFile {
    if (current?.name === name) return current
    closeCurrent()
    current = { name, fd: openSync(join(directory, name), 'a', 0o640) }
    return current
  }

  function closeCurrent(): void {
    if (!current) return
    const { fd } = current
    current = undefined
    attempt(() => fsyncSync(fd))
    attempt(() => closeSync(fd))
  }

  function write(fd: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
  }

  return {
    loadAll(load) {
      const count = { loaded: 0, refused: 0 }
      for (const { name } of files()) attempt(() => loadFile(join(directory, name), load, count))
      return count
    },
    append(bytes, { fromMinute, minutes }) {
      const block = fromMinute - (fromMinute % blockMinutes)
      const name = `${minutes === 1 ? 'minutes' : 'merged'}-${block}.seg`
      attempt(() => write(fileFor(name).fd, bytes))
    },
    prune(nowMs) {
      const nowMinute = Math.floor(nowMs / 60_000)
      const found = attempt(files) ?? []
      for (const { name, kind, minute } of found) {
        const kept = kind === 'merged' ? mergedMinutesKept : minutesKept
        if (minute + blockMinutes > nowMinute - kept) continue
        const isMerged = found.some(f => f.kind === 'merged' && f.minute === minute)
        // minutes that were never merged, for example before a long stop, stay as long as their sum would
        if (kind === 'minutes' && !isMerged && minute + blockMinutes > nowMinute - mergedMinutesKept) continue
        if (current?.name === name) closeCurrent()
        attempt(() => unlinkSync(join(directory, name)))
      }
    },
    close() {
      closeCurrent()
      attempt(folder.release)
    },
    wasKilled: folder.wasKilled,
    stats() {
      const found = attempt(files) ?? []
      const bytes = found.reduce(
        (sum, f) => sum + (attempt(() => statSync(join(directory, f.name)).size) ?? 0),
        0,
      )
      return { files: found.length, bytes, tornTails, tornBytes, failures, lastFailure }
    },
  }
}

/** Length of the segment that begins at `at`; 0 if there is none, or not all of it. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const header = headerWords * 4
  if (bytes.length - at < header) return 0
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, header)
  if (view.getUint32(segmentHeader.magic * 4, true) !== segmentMagic) return 0
  const length = view.getUint32(segmentHeader.byteLength * 4, true)
  return length >= header && length <= bytes.length - at ? length : 0
}
