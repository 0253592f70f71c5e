import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { SealedBatch } from '../batch/seal.ts'
import { openFileStore } from './file-store.ts'

const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'skybraid-spool-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
  vi.clearAllMocks()
})

const boot = (n: number) => n.toString(16).padStart(16, '0')
const open = (bootNumber: number, capacityBytes = 1 << 20, node = 'node.a') =>
  openFileStore({ directory, capacityBytes, cluster: 'c', node, bootId: boot(bootNumber), log })

function batch(order: number, bootNumber = 1, bytes = 100): SealedBatch {
  const head = { node: 'node.a', bootId: boot(bootNumber), sequence: order + 1, recordCount: order + 10 }
  const data = new Uint8Array(bytes).fill(order)
  return { order, recordCount: order + 10, message: { node: 'node_a', partition: order % 3, data, head } }
}

const folder = () => join(directory, 'c.node.a')
const files = () => readdirSync(folder()).sort()

describe('openFileStore', () => {
  it('gives back what it keeps, oldest first, and deletes it only when told', () => {
    const store = open(1)
    const kept = [0, 1, 2].map(order => batch(order))
    for (const one of kept) expect(store.put(one)).toBe(true)
    expect(store.counts).toMatchObject({ waitingBatches: 3, waitingRecords: 33, bytes: 3 * 4_096 })
    const taken = [store.next()!, store.next()!, store.next()!]
    expect(taken).toEqual(kept)
    expect(store.next()).toBeUndefined()
    expect(store.counts).toMatchObject({ waitingBatches: 0, waitingRecords: 0, bytes: 3 * 4_096 })
    expect(files()).toHaveLength(3)
    for (const one of taken) store.forget(one)
    expect(files()).toEqual([])
    expect(store.counts.bytes).toBe(0)
  })

  it('keeps a batch that was handed out and comes back, once', () => {
    const store = open(1)
    store.put(batch(0))
    const one = store.next()!
    expect(store.put(one)).toBe(true)
    expect(store.counts).toMatchObject({ waitingBatches: 1, waitingRecords: 10, bytes: 4_096 })
    expect(files()).toHaveLength(1)
    expect(store.next()).toEqual(batch(0))
  })

  it('refuses what does not fit and has room again later', () => {
    const store = open(1, 2 * 4_096)
    expect([0, 1, 2].map(order => store.put(batch(order)))).toEqual([true, true, false])
    expect(store.counts.failedWrites).toBe(0)
    store.forget(store.next()!)
    expect(store.put(batch(2))).toBe(true)
  })

  it('hands what a former boot left to the next one, as it was, before its own', () => {
    const first = open(1)
    for (const order of [0, 1, 2]) first.put(batch(order))
    first.next()
    const second = open(2)
    expect(second.counts).toMatchObject({ formerBatches: 3, waitingBatches: 0, bytes: 3 * 4_096 })
    second.put(batch(0, 2))
    const taken = [0, 1, 2, 3].map(() => second.next()!)
    expect(taken.map(({ isFormer, message }) => [isFormer, message.head])).toEqual([
      [true, batch(0).message.head],
      [true, batch(1).message.head],
      [true, batch(2).message.head],
      [undefined, batch(0, 2).message.head],
    ])
    expect(taken[1].message.data).toEqual(batch(1).message.data)
    for (const one of taken) second.forget(one)
    expect(files()).toEqual([])
    expect(open(3).counts.formerBatches).toBe(0)
  })

  it('skips and counts a file that was torn at any place, and reads the others', () => {
    const whole = open(1)
    whole.put(batch(0))
    const name = files()[0]
    const { length } = readFileSync(join(folder(), name))
    for (let cut = 0; cut < length; cut += 7) {
      open(1).put(batch(0))
      open(1).put(batch(1))
      truncateSync(join(folder(), name), cut)
      const store = open(2)
      expect(store.next()?.message.head).toEqual(batch(1).message.head)
      expect(store.next()).toBeUndefined()
      expect(store.counts).toMatchObject({ broken: 1, lostRecords: 0, formerBatches: 0 })
      expect(files()).toHaveLength(1)
    }
  })

  it('counts the records of its own batches that it cannot read again', () => {
    const store = open(1)
    store.put(batch(0))
    store.put(batch(1))
    const path = join(folder(), files()[0])
    const bytes = readFileSync(path)
    bytes[bytes.length - 1] ^= 1
    writeFileSync(path, bytes)
    expect(store.next()).toEqual(batch(1))
    expect(store.counts).toMatchObject({ broken: 1, lostRecords: 10 })
  })

  it('leaves files of others alone', () => {
    const store = open(1)
    store.put(batch(0))
    writeFileSync(join(folder(), 'notes.txt'), 'mine')
    expect(open(2, 1 << 20, 'node.b').counts.formerBatches).toBe(0)
    expect(open(2).counts.formerBatches).toBe(1)
    expect(files()).toContain('notes.txt')
  })

  it('is no store where nothing can be written, and says so once', () => {
    writeFileSync(join(directory, 'file'), '')
    const nowhere = openFileStore({
      directory: join(directory, 'file'),
      capacityBytes: 1 << 20,
      cluster: 'c',
      node: 'node.a',
      bootId: boot(1),
      log,
    })
    expect([nowhere.put(batch(0)), nowhere.put(batch(1)), nowhere.next()]).toEqual([false, false, undefined])
    expect(nowhere.counts).toMatchObject({ failedWrites: 3, bytes: 0, waitingBatches: 0 })
    expect(log.warn).toHaveBeenCalledTimes(1)
  })

  it('goes on with the others where a file cannot even be looked at, and says so', () => {
    const former = open(1)
    for (const order of [0, 1]) former.put(batch(order))
    const [first] = files()
    rmSync(join(folder(), first!))
    symlinkSync(first!, join(folder(), first!))
    const next = open(2)
    expect(next.counts).toMatchObject({ formerBatches: 1, failedWrites: 1 })
    expect(log.warn).toHaveBeenCalledTimes(1)
  })

  it('comes to an end where no folder can ever be', () => {
    const place = { capacityBytes: 1 << 20, cluster: 'c', node: 'node.a', bootId: boot(1), log }
    const nowhere = openFileStore({ directory: '/proc/none/of/this', ...place })
    expect(nowhere.put(batch(0))).toBe(false)
  })

  it('keeps its files to itself', () => {
    open(1).put(batch(0))
    expect(statSync(folder()).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder(), files()[0])).mode & 0o777).toBe(0o600)
  })
})
