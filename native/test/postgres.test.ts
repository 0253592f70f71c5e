import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import {
  canCapture,
  client,
  nothingLost,
  observeEachTest,
  saidAt,
  server,
  settling,
  until,
} from './observed-capture.ts'
import { freePort } from './web-server.ts'

const versions = '/usr/lib/postgresql'
const bin = existsSync(versions) ? join(versions, readdirSync(versions)[0]!, 'bin') : ''
const asPostgres = ['--reuid=postgres', '--regid=postgres', '--clear-groups', '--'] as const
const divisionByZero = 3452582 // 22012 to the base 36

describe.skipIf(!canCapture || !existsSync(join(bin, 'pgbench')))('PostgreSQL', () => {
  const observation = observeEachTest({ l7: 1 << L7Protocol.postgres })

  it('counts statements as pg_stat_statements does, however many packets their results take', async () => {
    const { group } = observation
    const folder = mkdtempSync(join(tmpdir(), 'sb-postgres-'))
    chmodSync(folder, 0o777)
    try {
      const data = join(folder, 'data')
      execFileSync('setpriv', [...asPostgres, join(bin, 'initdb'), '-D', data, '-A', 'trust', '-N'])
      const port = await freePort()
      group.spawn(
        'setpriv',
        ...[...asPostgres, join(bin, 'postgres'), '-D', data, '-p', `${port}`, '-k', folder],
        ...['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1'],
        ...['-c', 'shared_preload_libraries=pg_stat_statements'],
      )
      await until('the server', () => existsSync(join(folder, `.s.PGSQL.${port}.lock`)))
      const where = ['-h', '127.0.0.1', '-p', `${port}`, '-U', 'postgres']
      const bySocket = ['-h', folder, '-p', `${port}`, '-U', 'postgres', '-AtX', '-c']
      const ready = (): boolean => {
        try {
          execFileSync('psql', [...bySocket, 'SELECT'], { stdio: 'ignore' })
          return true
        } catch {
          return false
        }
      }
      await until('the server to answer', ready)
      const ask = (sql: string): string => execFileSync('psql', [...bySocket, sql], { encoding: 'utf8' })
      ask('CREATE EXTENSION pg_stat_statements')
      ask("CREATE TABLE items AS SELECT id, repeat('x', 300) AS text FROM generate_series(1, 1000) id")

      const observed = observation.start()
      const settled = settling(observed)
      // Each fits into the ring, however late that is emptied.
      for (let i = 0; i < 3; i++) {
        await group.output('psql', ...where, '-X', '-c', 'SELECT * FROM items')
        await until('all pieces', settled)
      }
      await group.output('psql', ...where, '-X', '-c', 'SELECT * FROM items WHERE id < 0')
      await expect(group.output('psql', ...where, '-X', '-c', 'SELECT 1 / 0')).rejects.toThrow('division')
      const script = join(folder, 'script')
      writeFileSync(script, 'SELECT * FROM items WHERE id <= 100;\nUPDATE items SET id = id WHERE id = 1;\n')
      const few = ['-n', '-c', '2', '-t', '10', '-f', script, 'postgres']
      for (const mode of ['simple', 'extended', 'prepared']) {
        await group.output('pgbench', ...where, '-M', mode, ...few)
        await until('all pieces', settled)
      }
      observed.close()

      const calls = (verb: string): number =>
        Number(ask(`SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE '${verb} %items%'`))
      expect(calls('SELECT')).toBe(64)
      expect(observed.counters().l7).toMatchObject(nothingLost)
      for (const end of [server, client]) {
        const said = saidAt(observation.flushes, end)
        expect(Object.keys(said).filter(name => name.endsWith(' -1'))).toEqual([])
        expect(said['SELECT items 0']).toBe(calls('SELECT'))
        expect(said['UPDATE items 0']).toBe(calls('UPDATE'))
        expect(said[`SELECT ${divisionByZero}`]).toBe(1)
      }
    } finally {
      await group.remove()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
