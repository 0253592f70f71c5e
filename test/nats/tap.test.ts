import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EndReason, Protocol, packKind, Role, State } from '../../packages/shared/src/index.ts'
import { until } from '../lab/until.ts'
import { type BatchSender, connectSender } from './batch-sender.ts'
import { afterTest, serverForTest } from './cleanup.ts'
import { natsServerIsAtLeast } from './nats-program.ts'
import type { NatsServer, NatsServerOptions } from './nats-server.ts'
import { permissionsTemplate } from './permissions-template.ts'
import { startTap, subscribed, type TapObject, type TapProgram } from './tap-program.ts'

async function bus(options?: NatsServerOptions): Promise<{ server: NatsServer; sender: BatchSender }> {
  const server = await serverForTest(options)
  const sender = await connectSender(server.url)
  afterTest(() => sender.link.close())
  return { server, sender }
}

function tap(args: readonly string[], reading = true): TapProgram {
  const program = startTap(args, reading)
  afterTest(() => program.child.kill('SIGKILL'))
  return program
}

const ndjson = (server: NatsServer) => ['--nats', server.url, '-o', 'ndjson']
const flows = (objects: readonly TapObject[]) => objects.filter(({ type }) => type === 'flow')
const others = (objects: readonly TapObject[]) =>
  objects.filter(({ type }) => type !== 'flow').map(({ type }) => type)

describe('skybraid tap, live', () => {
  it('prints records as they come, losses where they happen, and ends with 0 at Ctrl-C', async () => {
    const { server, sender } = await bus()
    const program = tap(ndjson(server))
    await subscribed(server)
    await sender.sendTens(1, 2)
    await sender.sendTens(5, 1, { losses: [{ place: 1, records: 7 }] })
    await sender.send({ sequence: 6, firstRecord: 50, records: [], cleanStop: true })
    await sender.sendTens(1, 1, { bootId: '00000000000000bb' })
    await until('everything is printed', () => flows(program.objects()).length === 40)
    expect(
      program
        .objects()
        .map(({ type }) => type)
        .filter((type, at, all) => type !== all[at - 1]),
    ).toEqual(['flow', 'gap', 'lost', 'flow', 'stopped', 'restarted', 'flow'])
    expect(program.objects().find(({ type }) => type === 'gap')).toMatchObject({
      records: 20,
      batches: 2,
      partition: 0,
    })
    expect(await program.interrupt()).toBe(0)
    expect(program.err()).toBe('')
  })

  it('keeps to a node and to what fits', async () => {
    const { server, sender } = await bus()
    const program = tap([...ndjson(server), '--node', 'n2', '--verdict', 'refused', '--not', '--to', ':81'])
    await subscribed(server)
    const kind = packKind(Protocol.tcp, Role.client, State.failed, EndReason.refused)
    const records = [{ kind }, { kind, remotePort: 81 }, {}]
    for (const node of ['n1', 'n2', 'n3']) await sender.send({ node, records })
    await sender.send({ node: 'n2', sequence: 2, firstRecord: 3, records: [{ kind, remotePort: 82 }] })
    await until('the last one is printed', () => program.objects().length === 2)
    expect(program.objects()).toMatchObject([
      { node: 'n2', to: { port: 80 }, end: 'refused' },
      { node: 'n2', to: { port: 82 } },
    ])
  })

  it('shows a batch that pretends to be of another node, and not its records', async () => {
    const { server, sender } = await bus()
    const program = tap(ndjson(server))
    await subscribed(server)
    await sender.send({ node: 'n1' }, { subjectNode: 'n2' })
    await sender.link.js.publish('skybraid.v1.local.flow.0.n1', Uint8Array.of(1, 2, 3))
    await sender.send({ node: 'n1' })
    await until('all are seen', () => program.objects().length === 3)
    expect(program.objects().map(({ type }) => type)).toEqual(['refused', 'refused', 'flow'])
  })

  it('lets go what it cannot print in time, counts it, and holds nobody up', async () => {
    const { server, sender } = await bus()
    const program = tap([...ndjson(server), '--max-pending', '256KiB'], false)
    await subscribed(server)
    const batches = 3_000
    await sender.sendTens(1, batches)
    program.child.stdout.on('data', (text: string) => chunks.push(text))
    const chunks: string[] = []
    const objects = () =>
      chunks
        .join('')
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line) as TapObject)
    await until('the last batch is printed', () => chunks.join('').includes(`"sequence":${batches},`))
    await until(
      'all of it',
      () =>
        flows(objects()).at(-1)?.sequence === batches &&
        flows(objects()).filter(({ sequence }) => sequence === batches).length === 10,
    )
    const letGo = objects()
      .filter(({ type }) => type === 'slow')
      .reduce((sum, { records = 0 }) => sum + records, 0)
    expect(letGo).toBeGreaterThan(0)
    expect(new Set(others(objects()))).toEqual(new Set(['slow']))
    expect(flows(objects()).length + letGo).toBe(10 * batches)
    const { slow_consumers: slow } = await server.monitor<{ slow_consumers: number }>('varz')
    expect(slow).toBe(0)
  })

  it('comes back when the server was away, and shows what passed meanwhile as a gap', async () => {
    const { server, sender } = await bus()
    const program = tap(ndjson(server))
    await subscribed(server)
    await sender.sendTens(1, 2)
    await until('the first are printed', () => flows(program.objects()).length === 20)
    await server.terminate()
    await server.restart()
    await until('the sender is back', () => sender.link.state().connected)
    await until('the tap is back', () => program.err().includes('connected to the bus again'))
    await until('and subscribed', () => subscribed(server).then(() => true))
    await sender.sendTens(7, 1)
    await until('the next one is printed', () => flows(program.objects()).length === 30)
    expect(program.objects().find(({ type }) => type === 'gap')).toMatchObject({ batches: 4, records: 40 })
  })
})

// several subjects in one consumer
const canLookBack = natsServerIsAtLeast('2.10')

describe.skipIf(!canLookBack)('skybraid tap, what the bus kept', () => {
  it('goes on from the past to the present without gap or repetition', async () => {
    const { server, sender } = await bus()
    await sender.sendTens(1, 200)
    const sending = sender.sendTens(201, 600)
    const program = tap([...ndjson(server), '--since', '10m', '-f'])
    await sending
    await sender.sendTens(801, 5)
    await until('the last one is printed', () => flows(program.objects()).at(-1)?.sequence === 805)
    await until('all of it', () => flows(program.objects()).length === 8_050)
    expect(others(program.objects())).toEqual([])
    const order = flows(program.objects()).map(({ sequence }) => sequence!)
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(await program.interrupt()).toBe(0)
  })

  it('prints the last records that fit and ends', async () => {
    const { server, sender } = await bus()
    const rare = packKind(Protocol.tcp, Role.client, State.failed, EndReason.unreachable)
    for (const sequence of [1, 2, 3]) {
      await sender.send({
        sequence,
        firstRecord: 2 * (sequence - 1),
        records: [{ kind: rare, localPort: sequence }, {}],
      })
    }
    await sender.sendTens(1, 600, { partition: 1 })
    const program = tap([...ndjson(server), '--verdict', 'unreachable', '--last', '2'])
    expect(await program.ended()).toBe(0)
    expect(program.objects()).toMatchObject([{ from: { port: 2 } }, { from: { port: 3 } }])
    const ten = tap([...ndjson(server), '--last', '15'])
    expect(await ten.ended()).toBe(0)
    expect(ten.objects().map(({ sequence }) => sequence)).toEqual([
      ...Array(5).fill(599),
      ...Array(10).fill(600),
    ])
    const consumers = await sender.link.jsm.consumers.list('SKYBRAID_FLOW_local').next()
    expect(consumers).toEqual([])
  })

  it('ends where it began although more and more comes, unless it follows', async () => {
    const { server, sender } = await bus()
    await sender.sendTens(1, 50)
    let isSending = true
    const sending = (async () => {
      for (let sequence = 51; isSending; sequence++) await sender.sendTens(sequence, 1)
    })()
    const program = tap([...ndjson(server), '--since', '10m'])
    expect(await program.ended()).toBe(0)
    isSending = false
    await sending
    expect(flows(program.objects()).length).toBeGreaterThanOrEqual(500)
    expect(others(program.objects())).toEqual([])
  })

  it('ends at once where nothing fits', async () => {
    const { server, sender } = await bus()
    await sender.sendTens(1, 3)
    const program = tap([...ndjson(server), '--since', '10m', '--node', 'n9'])
    expect(await program.ended()).toBe(0)
    expect(program.out()).toBe('')
  })

  it('keeps batches in a file from which they are read again', async () => {
    const { server, sender } = await bus()
    await sender.sendTens(1, 4)
    await sender.sendTens(6, 1)
    const path = join(server.folder, 'flows.bin')
    const main = 'packages/cli/src/main.ts'
    const raw = spawnSync(process.execPath, [
      '--conditions=source',
      main,
      'tap',
      '--nats',
      server.url,
      '--since',
      '5m',
      '-o',
      'raw',
    ])
    expect(raw.status).toBe(0)
    writeFileSync(path, raw.stdout)
    const again = tap(['--input', path, '-o', 'ndjson'])
    expect(await again.ended()).toBe(0)
    expect([flows(again.objects()).length, others(again.objects())]).toEqual([50, ['gap']])
    const last = tap(['--input', path, '--last', '1', '-o', 'ndjson'])
    expect(await last.ended()).toBe(0)
    expect(last.objects()).toMatchObject([{ sequence: 6 }])
  })
})

describe('skybraid tap with the documented permissions', () => {
  async function strictBus() {
    const server = await serverForTest({ config: permissionsTemplate() })
    const login = (user: string) => {
      const path = join(server.folder, `${user}.password`)
      writeFileSync(path, `change-${user}`)
      return ['--nats-user', user, '--nats-password-file', path, '--nats-inbox-prefix', `_INBOX_${user}`]
    }
    const aggregator = await connectSender(server.url, { cluster: 'prod', login: login('aggregator') })
    await aggregator.link.close()
    const options = { cluster: 'prod', login: login('worker-a'), makesStreams: false }
    const sender = await connectSender(server.url, options)
    afterTest(() => sender.link.close())
    const tapAs = (user: string, ...args: string[]) =>
      tap([...ndjson(server), '--cluster', 'prod', ...login(user), ...args])
    return { server, sender, tapAs }
  }

  it('reads live with a login that may do nothing else', async () => {
    const { server, sender, tapAs } = await strictBus()
    const program = tapAs('tap-live')
    await subscribed(server)
    await sender.sendTens(1, 2, { node: 'worker-a' })
    await until('both are printed', () => flows(program.objects()).length === 20)
    expect(await program.interrupt()).toBe(0)
    expect(program.err()).toBe('')
  })

  it('looks back and goes on with one that may', async () => {
    const { sender, tapAs } = await strictBus()
    await sender.sendTens(1, 3, { node: 'worker-a' })
    const last = tapAs('tap', '--last', '5')
    expect([await last.ended(), last.objects().length, last.err()]).toEqual([0, 5, ''])
    const program = tapAs('tap', '--since', '5m', '-f', '--node', 'worker-a', '--node', 'worker-b')
    await until('the past is printed', () => flows(program.objects()).length === 30)
    await sender.sendTens(4, 1, { node: 'worker-a' })
    await until('the present too', () => flows(program.objects()).length === 40)
    expect([await program.interrupt(), program.err(), others(program.objects())]).toEqual([0, '', []])
  })

  it('says that it may not look back, where it may not', async () => {
    const { sender, tapAs } = await strictBus()
    await sender.sendTens(1, 1, { node: 'worker-a' })
    const program = tapAs('tap-live', '--last', '5')
    expect(await program.ended()).toBe(3)
    expect(program.err()).toMatch(/What the bus kept cannot be read: .*permission/i)
  })
})

describe('skybraid tap, when it cannot', () => {
  it('says that the bus cannot be reached, and ends with 3', async () => {
    const program = tap(['--nats', 'nats://127.0.0.1:1'])
    expect(await program.ended()).toBe(3)
    expect(program.err()).toMatch(/^skybraid: The bus nats:\/\/127\.0\.0\.1:1 cannot be used: [^\n]+\n$/)
  })

  it('says that the login is refused, that it may not read, and that there is nothing, each with 3', async () => {
    const { server, sender } = await bus({
      config: `
        authorization {
          users: [
            { user: all, password: "p", permissions: { publish: ">", subscribe: ">" } }
            { user: mute, password: "p", permissions: { publish: ">", subscribe: "_INBOX.>" } }
          ]
        }
        no_auth_user: all`,
    })
    await sender.sendTens(1, 1)
    const file = join(server.folder, 'password')
    writeFileSync(file, 'p')
    const wrong = join(server.folder, 'wrong')
    writeFileSync(wrong, 'q')
    const login = (user: string, path: string) => [
      '--nats',
      server.url,
      '--nats-user',
      user,
      '--nats-password-file',
      path,
    ]
    for (const [args, sentence] of [
      [login('mute', wrong), /cannot be used: it refuses the login/],
      [login('mute', file), /may not read skybraid\.v1\.local\.flow\.>: .*Permissions Violation/i],
      [
        ['--nats', server.url, '--cluster', 'other', '--last', '3'],
        /no collector has published for the cluster other/,
      ],
    ] as const) {
      const program = tap(args)
      expect(await program.ended()).toBe(3)
      expect(program.err()).toMatch(sentence)
      expect(program.err()).toMatch(/^(skybraid: [^\n]+\n){1,2}$/)
      expect(program.out()).toBe('')
    }
  })

  it.skipIf(!canLookBack)('ends quietly when whoever read its output has gone', async () => {
    const { server, sender } = await bus()
    await sender.sendTens(1, 300)
    const program = tap([...ndjson(server), '--since', '5m', '-f'], false)
    await until('it prints', () => program.child.stdout.readableLength > 0)
    program.child.stdout.destroy()
    await sender.sendTens(301, 300)
    expect(await program.ended()).toBe(0)
    expect(program.err()).toBe('')
  })
})
