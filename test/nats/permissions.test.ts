import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { headers } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createExportNotes } from '../../packages/aggregator/src/bus/export-notes.ts'
import {
  ensureStreams,
  flowFilter,
  flowHeaders,
  flowMessageId,
  flowStream,
  flowSubject,
  type NatsLink,
  rollupStream,
  rollupSubject,
} from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { linkForTest } from './cleanup.ts'
import { NatsServer } from './nats-server.ts'
import { permissionsTemplate } from './permissions-template.ts'
import { streamSettings } from './stream-settings.ts'

let server: NatsServer
beforeAll(async () => {
  server = await NatsServer.start({ config: permissionsTemplate() })
  const link = await linkTo('aggregator')
  await ensureStreams(link.jsm, 'prod', streamSettings())
  expect(link.state().permissionViolations).toBe(0)
  await link.close()
})
afterAll(() => server?.stop())

/** Logs in as the documented user, with the documented inbox. */
function linkTo(user: string): Promise<NatsLink> {
  const password = join(server.folder, `${user}.password`)
  writeFileSync(password, `change-${user}`)
  const login = ['--nats-user', user, '--nats-password-file', password]
  return linkWith(['--nats', server.url, ...login, '--nats-inbox-prefix', `_INBOX_${user}`])
}

const as = (user: string) => linkForTest(linkTo(user))

/** Publishes one message as a collector does; answers with its place in the stream. */
async function publishFlow(link: NatsLink, node: string, sequence: number): Promise<number> {
  const head = {
    node,
    bootId: '0123456789abcdef',
    partition: 1,
    sequence,
    recordCount: 0,
    encoding: 'raw',
  } as const
  const list = headers()
  for (const [name, value] of flowHeaders(head)) list.set(name, value)
  const ack = await link.js.publish(flowSubject('prod', 1, node), new Uint8Array([8, 1]), {
    headers: list,
    msgID: flowMessageId(head),
    timeout: 60_000,
  })
  return ack.seq
}

/** Does something that the server has to refuse; the refusal is counted and the connection stays. */
async function refused(link: NatsLink, act: () => unknown): Promise<void> {
  const before = link.state()
  Promise.resolve(act()).catch(() => {}) // how it fails is the client's matter
  await until('the refusal is counted', () => link.state().permissionViolations > before.permissionViolations)
  expect(link.state().lastError).toMatch(/permissions violation/i)
  expect(link.state()).toMatchObject({ connected: true, disconnects: before.disconnects })
}

async function sequences(link: NatsLink, stream: string, filter: string): Promise<number[]> {
  const consumer = await link.js.consumers.get(stream, { filter_subjects: filter })
  const { num_pending: waiting } = await consumer.info()
  const seen: number[] = []
  const messages = await consumer.fetch({ max_messages: Math.max(1, waiting), expires: 60_000 })
  if (waiting > 0)
    for await (const message of messages) {
      seen.push(message.seq)
      if (seen.length === waiting) break
    }
  await consumer.delete()
  return seen
}

describe('a collector with the documented permissions', () => {
  it('publishes as its own node and hears the acknowledgement', async () => {
    const link = await as('worker-a')
    const first = await publishFlow(link, 'worker-a', 1)
    expect(await publishFlow(link, 'worker-a', 1)).toBe(first) // told apart by its id
    expect(link.state()).toMatchObject({ permissionViolations: 0, lastError: undefined })
  })

  it('is refused as any other node, for good, and that is counted', async () => {
    const link = await as('worker-a')
    await refused(link, () => publishFlow(link, 'worker-b', 1))
    await refused(link, () => link.connection.publish('skybraid.v1.other.flow.1.worker-a'))
    await refused(link, () => link.js.publish(rollupSubject('prod', 1), 'closed'))
    expect(link.state().permissionViolations).toBe(3)
    expect(server.log()).toMatch(/Publish Violation/)
    await publishFlow(link, 'worker-a', 2)
    const reader = await as('admin')
    const { state } = await reader.jsm.streams.info(flowStream('prod'), { subjects_filter: '>' })
    expect(Object.keys(state.subjects ?? {})).toEqual([flowSubject('prod', 1, 'worker-a')])
  })

  it('can neither listen nor touch a stream', async () => {
    const link = await as('worker-a')
    for (const subject of [flowFilter('prod'), '>', '_INBOX.>', '_INBOX_worker-b.>'])
      await refused(link, () => link.connection.subscribe(subject))
    await refused(link, () => link.jsm.streams.info(flowStream('prod')))
    await refused(link, () => link.jsm.streams.delete(flowStream('prod')))
    await refused(link, () => link.jsm.streams.purge(flowStream('prod')))
  })
})

describe('an aggregator with the documented permissions', () => {
  it('reads both streams and appends closed minutes in turn', async () => {
    await publishFlow(await as('worker-b'), 'worker-b', 1)
    const link = await as('aggregator')
    await ensureStreams(link.jsm, 'prod', streamSettings())
    expect((await sequences(link, flowStream('prod'), 'skybraid.v1.prod.flow.1.*')).length).toBeGreaterThan(0)
    const subject = rollupSubject('prod', 1)
    const last =
      (await link.jsm.streams.getMessage(rollupStream('prod'), { last_by_subj: subject }))?.seq ?? 0
    const ack = await link.js.publish(subject, 'claim', { expect: { lastSubjectSequence: last } })
    expect(await sequences(link, rollupStream('prod'), subject)).toContain(ack.seq)
    expect((await link.jsm.direct.getMessage(rollupStream('prod'), { last_by_subj: subject }))?.seq).toBe(
      ack.seq,
    )
    expect(link.state()).toMatchObject({ permissionViolations: 0, lastError: undefined })
  })

  it('notes in its bucket how far it exported, and is refused when somebody else did', async () => {
    const first = createExportNotes(await as('aggregator'), 'prod', streamSettings(), 'first')
    const second = createExportNotes(await as('aggregator'), 'prod', streamSettings(), 'second')
    const begun = await first.begin(1)
    expect(first.lastError()).toBeUndefined()
    expect(begun).toEqual({ note: undefined, unsettled: 0, unsettledRequests: 0 })
    const noteAt = (takenAt: number, clockMs: number) => ({
      takenAt,
      markedAt: takenAt - 10,
      clockMs,
      owedRequests: 3,
      owedConnections: 1,
    })
    const noted = await first.note(1, noteAt(70, 1_000), 20)
    expect(await first.note(1, noteAt(90, 2_000), 30)).toBeTypeOf('object')
    if (typeof noted === 'object') noted.settled()
    await first.flush()
    // of the two takes one is settled
    expect(await second.begin(1)).toEqual({
      note: noteAt(90, 2_000),
      unsettled: 1,
      unsettledRequests: 30,
    })
    expect(await first.note(1, noteAt(99, 3_000), 1)).toBe('lost')
    expect(await second.note(1, noteAt(100, 3_000), 1)).toBeTypeOf('object')
    expect([first.lastError(), second.lastError()]).toEqual([undefined, undefined])
  })

  it('can neither invent flows nor delete anything', async () => {
    const link = await as('aggregator')
    await refused(link, () => publishFlow(link, 'worker-a', 3))
    await refused(link, () => link.jsm.streams.delete(flowStream('prod')))
    await refused(link, () => link.jsm.streams.purge(rollupStream('prod')))
  })
})

describe('a tap with the documented permissions', () => {
  it('hears what passes', async () => {
    const link = await as('tap-live')
    const heard: string[] = []
    link.connection.subscribe(flowFilter('prod'), {
      callback: (_, message) => void heard.push(message.subject),
    })
    await link.connection.flush()
    await publishFlow(await as('worker-b'), 'worker-b', 2)
    await until('it hears the batch', () => heard.length > 0)
    expect(heard).toEqual([flowSubject('prod', 1, 'worker-b')])
    await refused(link, () => link.jsm.streams.info(flowStream('prod')))
    await refused(link, () => publishFlow(link, 'worker-b', 3))
  })

  it('looks back where it may', async () => {
    await publishFlow(await as('worker-b'), 'worker-b', 4)
    const link = await as('tap')
    expect((await sequences(link, flowStream('prod'), flowFilter('prod'))).length).toBeGreaterThan(0)
    await link.jsm.streams.info(flowStream('prod'))
    expect(link.state()).toMatchObject({ permissionViolations: 0, lastError: undefined })
    await refused(link, () => publishFlow(link, 'worker-b', 5))
    await refused(link, () => link.connection.subscribe('skybraid.v1.prod.rollup.>'))
    await refused(link, () => link.jsm.streams.info(rollupStream('prod')))
    await refused(link, () => link.js.publish(rollupSubject('prod', 1), 'x'))
  })

  it('cannot have stored batches sent as if they were published', async () => {
    const link = await as('tap')
    const answer = await link.connection.request(
      `$JS.API.CONSUMER.CREATE.${flowStream('prod')}.evil`,
      JSON.stringify({
        stream_name: flowStream('prod'),
        config: { name: 'evil', deliver_subject: flowSubject('prod', 2, 'worker-a'), ack_policy: 'none' },
      }),
    )
    expect(answer.json()).toMatchObject({ error: { description: expect.stringContaining('cycle') } })
  })
})

describe('a login that is not documented', () => {
  it('does not exist', async () => {
    await expect(linkWith(['--nats', server.url], { once: true })).rejects.toThrow('it refuses the login')
  })
})
