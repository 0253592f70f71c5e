/**
 * Records conversations of real programs for the tests of the parsers: each server in a folder of its own, its
 * client through a proxy that notes what passes. Run by hand when a conversation is to be renewed:
 *
 *   node native/test/record-streams.ts [NAME...]
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

interface Recording {
  readonly server: (folder: string, port: number) => readonly string[]
  readonly prepare?: (folder: string) => void
  readonly client: (port: number) => void
  /** What the server itself says it did, printed for comparison. */
  readonly truth?: (port: number) => void
}

const postgresBin = '/usr/lib/postgresql/15/bin'
const asPostgres = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'] as const

function run(argv: readonly string[], input = ''): string {
  const [program, ...rest] = argv
  return execFileSync(program ?? '', rest, { input, encoding: 'utf8', timeout: 60_000 })
}

function psql(port: number, sql: string, database = 'postgres'): string {
  return run(['psql', '-h', '127.0.0.1', '-p', `${port}`, '-U', 'postgres', '-AtX', database], sql)
}

const postgres = {
  prepare: folder => {
    run(['chown', 'postgres', folder])
    run([...asPostgres, `${postgresBin}/initdb`, '-D', `${folder}/data`, '-A', 'trust', '-N'])
  },
  server: (folder, port) => [
    ...asPostgres,
    `${postgresBin}/postgres`,
    ...['-D', `${folder}/data`, '-p', `${port}`, '-k', folder, '-c', 'fsync=off'],
    ...['-c', 'shared_preload_libraries=pg_stat_statements', '-c', 'listen_addresses=127.0.0.1'],
  ],
} satisfies Partial<Recording>

function mariadb(port: number, sql: string, more: readonly string[] = []): string {
  const where = ['-h', '127.0.0.1', '-P', `${port}`, '-u', 'root', '--protocol=tcp', '--force']
  return run(['mysql', ...where, ...more], sql)
}

const recordings: Record<string, Recording> = {
  'postgres-simple': {
    ...postgres,
    client: port => {
      const sql = [
        'CREATE TABLE orders (id int PRIMARY KEY, name text);',
        "INSERT INTO orders VALUES (1, 'hunter2'), (2, 'it''s');",
        "SELECT name FROM orders WHERE name = 'hunter2' AND id < 17;",
        "INSERT INTO orders VALUES (1, 'hunter2');",
        'SELECT * FROM missing;',
        'COPY orders TO STDOUT;',
        'COPY orders FROM STDIN;\n3\thunter2\n\\.',
        'BEGIN; UPDATE orders SET name = $$hunter2$$; COMMIT;',
        "DO $x$ BEGIN RAISE NOTICE 'hunter2'; END $x$;",
        'LISTEN hunter2; NOTIFY hunter2;',
        'PREPARE p AS SELECT * FROM orders WHERE id = $1; EXECUTE p(2);',
        'DELETE FROM orders;',
      ]
      psql(port, `${sql.join('\n')}\n`)
    },
  },
  'postgres-extended': {
    ...postgres,
    client: port => {
      const bench = ['pgbench', '-h', '127.0.0.1', '-p', `${port}`, '-U', 'postgres', '-n', '-t', '2']
      psql(port, 'CREATE TABLE orders (id int, name text);')
      const script = join(tmpdir(), 'skybraid-bench.sql')
      const statements = [
        "\\set id random(1, 1000)\nINSERT INTO orders VALUES (:id, 'hunter2');",
        'UPDATE orders SET name = name WHERE id = :id;\nSELECT name FROM orders WHERE id = :id;',
        '\\startpipeline\nSELECT 1;\nDELETE FROM orders WHERE id = :id;\n\\endpipeline\n',
      ]
      writeFileSync(script, statements.join('\n'))
      for (const mode of ['extended', 'prepared']) run([...bench, '-M', mode, '-f', script, 'postgres'])
      rmSync(script)
    },
    truth: port => {
      psql(port, 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements;')
      process.stdout.write(psql(port, 'SELECT calls, query FROM pg_stat_statements ORDER BY query;'))
    },
  },
  mariadb: {
    prepare: folder => {
      run(['chown', 'mysql', folder])
      run([
        'mariadb-install-db',
        `--datadir=${folder}/data`,
        '--user=mysql',
        '--auth-root-authentication-method=normal',
      ])
    },
    server: (folder, port) => [
      'mariadbd',
      ...['--no-defaults', `--datadir=${folder}/data`, '--user=mysql', `--port=${port}`],
      ...['--bind-address=127.0.0.1', `--socket=${folder}/socket`, `--pid-file=${folder}/pid`],
      ...['--local-infile=1', '--skip-name-resolve', '--innodb-buffer-pool-size=16M'],
    ],
    client: port => {
      const file = join(tmpdir(), 'skybraid-rows.txt')
      writeFileSync(file, '7\thunter2\n8\thunter2\n')
      const sql = [
        'CREATE DATABASE shop; USE shop;',
        'CREATE TABLE orders (id int PRIMARY KEY, name varchar(50));',
        "INSERT INTO orders VALUES (1, 'hunter2'), (2, 'it\\'s');",
        "SELECT name FROM orders WHERE name = 'hunter2' AND id < 17;",
        "INSERT INTO orders VALUES (1, 'hunter2');",
        'SELECT * FROM missing;',
        `LOAD DATA LOCAL INFILE '${file}' INTO TABLE orders;`,
        "PREPARE p FROM 'SELECT * FROM orders WHERE id = ?'; SET @a = 1; EXECUTE p USING @a;",
        'DELIMITER //',
        'CREATE PROCEDURE twice() BEGIN SELECT 1 FROM orders; SELECT 2 FROM orders; END//',
        'DELIMITER ;',
        'CALL twice();',
        'DELETE FROM orders;',
      ]
      mariadb(port, `${sql.join('\n')}\n`, ['--local-infile=1', '--skip-ssl'])
      rmSync(file)
    },
    truth: port => {
      process.stdout.write(mariadb(port, "SHOW GLOBAL STATUS LIKE 'Com_%'").replace(/^.*\t0\n/gm, ''))
    },
  },
  mosquitto: {
    server: (folder, port) => {
      writeFileSync(`${folder}/conf`, `listener ${port} 127.0.0.1\nallow_anonymous true\nuser root\n`)
      return ['mosquitto', '-c', `${folder}/conf`]
    },
    client: port => {
      const at = ['-h', '127.0.0.1', '-p', `${port}`]
      for (const version of ['mqttv311', 'mqttv5']) {
        for (const qos of ['0', '1', '2']) {
          const topic = `sensors/4711/${version}`
          const publish = [
            'mosquitto_pub',
            ...at,
            '-V',
            version,
            '-q',
            qos,
            '-r',
            '-t',
            topic,
            '-m',
            'hunter2',
          ]
          run([...publish, '-u', 'hunter2', '-P', 'hunter2', '-i', 'hunter2'])
          run(['mosquitto_sub', ...at, '-V', version, '-q', qos, '-t', 'sensors/+/#', '-C', '1'])
        }
      }
    },
  },
  dnsmasq: {
    server: (_folder, port) => [
      ...['dnsmasq', '--keep-in-foreground', '--no-resolv', '--no-hosts', '--conf-file=/dev/null'],
      ...['--pid-file=', '--user=root', `--port=${port}`, '--listen-address=127.0.0.1', '--bind-interfaces'],
      ...['--host-record=shop.example,10.0.0.1', '--cname=www.example,shop.example', '--local=/example/'],
    ],
    client: port => {
      const dig = ['dig', '@127.0.0.1', '-p', `${port}`, '+tcp', '+keepopen', '+tries=1']
      run([...dig, 'shop.example', 'A', 'shop.example', 'AAAA', 'www.example', 'A', 'a.b.none.example', 'A'])
      run([...dig, '-x', '10.0.0.1'])
    },
  },
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Notes each connection of its own, in the order they were opened. */
async function proxy(target: number, connections: string[][]): Promise<Server> {
  const server = createServer(client => {
    const lines: string[] = []
    connections.push(lines)
    const upstream = connect(target, '127.0.0.1')
    const pass = (from: typeof client, to: typeof client, mark: string): void => {
      from.on('data', bytes => {
        lines.push(`${mark} ${bytes.toString('hex')}`)
        to.write(bytes)
      })
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
    }
    pass(client, upstream, '>')
    pass(upstream, client, '<')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function record(name: string, recording: Recording): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'skybraid-record-'))
  chmodSync(folder, 0o755)
  const port = await freePort()
  recording.prepare?.(folder)
  const [program = '', ...rest] = recording.server(folder, port)
  const child = spawn(program, rest, { stdio: 'ignore' })
  const connections: string[][] = []
  const between = await proxy(port, connections)
  try {
    for (let tries = 0; tries < 200 && !(await answers(port)); tries++) await setTimeout(50)
    // In a process of its own, so that this one can pass the bytes on.
    const here = (between.address() as AddressInfo).port
    const argv = [import.meta.filename, '--client', name, `${here}`]
    const client = spawn(process.execPath, argv, { stdio: 'inherit' })
    await once(client, 'exit')
    recording.truth?.(port)
  } finally {
    between.close()
    child.kill('SIGTERM')
    await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
  const file = (index: number): string => join(import.meta.dirname, 'streams', `${name}${index || ''}`)
  for (const [index, lines] of connections.entries()) writeFileSync(file(index), `${lines.join('\n')}\n`)
}

const [flag, clientOf = '', port] = process.argv.slice(2)
if (flag === '--client') {
  recordings[clientOf]?.client(Number(port))
} else {
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(recordings)
  for (const name of names) {
    const recording = recordings[name]
    if (recording === undefined)
      throw new Error(`no recording ${name}; there are ${Object.keys(recordings).join(', ')}`)
    await record(name, recording)
  }
}
