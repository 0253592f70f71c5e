import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '@skybraid/shared'
import pino from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { exportConfigSchema } from '../config.ts'
import { createTopology } from '../topology/topology.ts'
import { booksForExports, type ExportConfig } from './export-books.ts'
import { ShopCluster } from './oap/shop-cluster.testing.ts'
import { type Exports, openExports, ownSource } from './open-exports.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skybraid-exports-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function open(args: readonly string[]): Exports | undefined {
  const loaded = loadConfig(exportConfigSchema, { args, env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const config = loaded.config as ExportConfig
  const books = booksForExports(config, false)
  const topology = createTopology({ index: new ShopCluster().index, startMs: Date.now() })
  return openExports(config, books, own => ownSource(own, topology, Date.now), {
    log: pino({ level: 'silent' }),
    nowMs: Date.now,
    version: '0',
  })
}

it('a file of the options for OAP that cannot be used is told at the start', async () => {
  const file = join(folder, 'file')
  const to = ['--oap', '127.0.0.1:1']
  for (const option of ['--oap-token-file', '--oap-ca-file'])
    expect(() => open([...to, option, file])).toThrow(`${option} ${file} cannot be read`)
  writeFileSync(file, 'no certificate')
  expect(() => open([...to, '--oap-cert-file', file, '--oap-key-file', file])).toThrow(
    `${file}, ${file} cannot be used for TLS with OAP`,
  )
  await open([...to, '--oap-token-file', file])!.close()
})

it('a minute that closes while names are missing waits a moment for them, and is taken all the same', async () => {
  const taken: (number | undefined)[] = []
  const source = {
    mark: () => undefined,
    async take(only?: number) {
      taken.push(only)
      return { minutes: [], settled: () => undefined }
    },
    flush: () => Promise.resolve(),
  }
  const loaded = loadConfig(exportConfigSchema, { args: ['--oap-dry-run'], env: {} })
  if (loaded.help || !loaded.ok) throw new Error('options')
  const config = loaded.config as ExportConfig
  let nowMs = 0
  const exports = openExports(config, booksForExports(config, true), () => source, {
    log: pino({ level: 'silent' }),
    // 20 times it is asked whether to wait on
    nowMs: () => (nowMs += 500),
    version: '0',
    hasNames: () => false,
  })!
  await exports.takeNow(3)
  expect(taken).toEqual([3])
  expect(nowMs).toBeGreaterThan(10_000)
  await exports.close()
  expect(taken).toEqual([3])
})
