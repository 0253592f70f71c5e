import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { L7Protocol } from '../../packages/shared/src/index.ts'
import {
  canCapture,
  client,
  has,
  nothingLost,
  observeEachTest,
  saidAt,
  server,
  settling,
  until,
} from './observed-capture.ts'
import { freePort } from './web-server.ts'

const noSuchTable = 1146

describe.skipIf(!canCapture || !has('mariadbd') || !has('mariadb-slap'))('MariaDB', () => {
  const observation = observeEachTest({ l7: 1 << L7Protocol.mysql })

  it('counts statements as the server does, however many packets their results take', async () => {
    const { group } = observation
    const folder = mkdtempSync(join(tmpdir(), 'sb-mariadb-'))
    chmodSync(folder, 0o777)
    try {
      const data = join(folder, 'data')
      const socket = join(folder, 'socket')
      const own = ['--no-defaults', `--datadir=${data}`, '--user=mysql']
      mkdirSync(data)
      execFileSync('chown', ['mysql', data])
      execFileSync('mariadb-install-db', [...own, '--auth-root-authentication-method=normal'], {
        stdio: 'ignore',
      })
      const port = await freePort()
      const listen = [`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${socket}`]
      group.spawn('mariadbd', ...own, ...listen, `--pid-file=${join(folder, 'pid')}`)
      const ask = (sql: string): string =>
        execFileSync('mariadb', ['--no-defaults', '-S', socket, '-u', 'root', '-N', '-e', sql], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        })
      await until('the server to answer', () => {
        try {
          return ask('SELECT 1') !== ''
        } catch {
          return false
        }
      })
      ask('CREATE DATABASE shop; CREATE TABLE shop.items (id INT PRIMARY KEY, text VARCHAR(400))')
      ask("USE shop; INSERT INTO items SELECT seq, repeat('x', 300) FROM seq_1_to_1000")
      const counted = (verb: string): number =>
        Number(ask(`SHOW GLOBAL STATUS LIKE 'Com_${verb}'`).split('\t')[1])
      const before = { select: counted('select'), insert: counted('insert'), update: counted('update') }

      const observed = observation.start()
      const settled = settling(observed)
      const where = ['--no-defaults', '-h', '127.0.0.1', `-P${port}`, '-u', 'root']
      const statements = (count: number, text: (i: number) => string): string =>
        Array.from({ length: count }, (_, i) => `${text(i)};\n`).join('')
      const file = join(folder, 'statements.sql')
      const rounds = [
        'SELECT * FROM items;\n',
        statements(60, i => `SELECT text FROM items WHERE id = ${i}`),
        statements(40, i => `INSERT INTO items VALUES (${2000 + i}, 'new')`),
        statements(40, i => `UPDATE items SET text = 'old' WHERE id = ${2000 + i}`),
      ]
      for (const round of rounds) {
        writeFileSync(file, round)
        await group.output('mariadb', ...where, 'shop', '-e', `source ${file}`)
        await until('all pieces', settled)
      }
      await expect(group.output('mariadb', ...where, 'shop', '-e', 'SELECT * FROM missing')).rejects.toThrow(
        '1146',
      )
      await until('all pieces', settled)
      const load = ['--concurrency=4', '--iterations=5', '--create-schema=shop', '--no-drop']
      await group.output(
        'mariadb-slap',
        ...where,
        ...load,
        '--query=SELECT * FROM items WHERE id <= 100; UPDATE items SET id = id WHERE id = 1',
        '--delimiter=;',
      )
      await until('all pieces', settled)
      observed.close()

      expect(observed.counters().l7).toMatchObject(nothingLost)
      for (const end of [server, client]) {
        const said = saidAt(observation.flushes, end)
        const sum = (verb: string): number =>
          Object.entries(said).reduce((all, [name, count]) => (name.startsWith(verb) ? all + count : all), 0)
        expect(Object.keys(said).filter(name => name.endsWith(' -1'))).toEqual([])
        expect(sum('SELECT')).toBe(counted('select') - before.select)
        expect(said['INSERT items 0']).toBe(counted('insert') - before.insert)
        expect(said['UPDATE items 0']).toBe(counted('update') - before.update)
        expect(said[`SELECT missing ${noSuchTable}`]).toBe(1)
      }
    } finally {
      await group.remove()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
