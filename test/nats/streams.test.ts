import { describe, expect, it } from 'vitest'
import { ensureStreams } from '../../packages/shared/src/nats/index.ts'
import { linkWith } from './bus-link.ts'
import { linkForTest, serverForTest } from './cleanup.ts'
import type { NatsServer } from './nats-server.ts'
import { streamSettings } from './stream-settings.ts'

const linkTo = (server: NatsServer) => linkForTest(linkWith(['--nats', server.url]))

describe('streams of the bus', () => {
  it('are made as documented, and adopted the next time without a difference', async () => {
    const { jsm } = await linkTo(await serverForTest())
    const created = await ensureStreams(jsm, 'prod', streamSettings())
    expect(created).toEqual([
      { stream: 'SKYBRAID_FLOW_prod', outcome: 'created', differences: [] },
      { stream: 'SKYBRAID_ROLLUP_prod', outcome: 'created', differences: [] },
    ])
    const adopted = await ensureStreams(jsm, 'prod', streamSettings())
    expect(adopted).toEqual(created.map(report => ({ ...report, outcome: 'adopted' })))
    const { config } = await jsm.streams.info('SKYBRAID_FLOW_prod')
    expect(config).toMatchObject({
      subjects: ['skybraid.v1.prod.flow.>'],
      retention: 'limits',
      storage: 'file',
      discard: 'old',
      num_replicas: 1,
      max_age: 15 * 60e9,
      max_bytes: 4 * 2 ** 30,
      max_msg_size: 128 * 1024,
      duplicate_window: 120e9,
      allow_direct: true,
    })
  })

  it('with other settings are told and stay as they are', async () => {
    const { jsm } = await linkTo(await serverForTest())
    await ensureStreams(jsm, 'prod', streamSettings('--flow-max-age=5m', '--stream-storage=memory'))
    const [flow, rollup] = await ensureStreams(jsm, 'prod', streamSettings())
    const storage = { setting: 'storage', wanted: 'file', found: 'memory' }
    expect(flow!.differences).toEqual([
      storage,
      { setting: 'max_age', wanted: String(15 * 60e9), found: String(5 * 60e9) },
    ])
    expect(rollup!.differences).toEqual([storage])
    expect((await jsm.streams.info('SKYBRAID_FLOW_prod')).config.max_age).toBe(5 * 60e9)
  })

  it('are made once by several that start together', async () => {
    const server = await serverForTest()
    const links = await Promise.all([1, 2, 3, 4].map(() => linkTo(server)))
    const reports = await Promise.all(links.map(({ jsm }) => ensureStreams(jsm, 'prod', streamSettings())))
    expect(reports.flat().every(report => report.differences.length === 0)).toBe(true)
  })

  it.each([
    ['more bytes than the server may keep', { storeBytes: 1 << 30 }, [], /insufficient storage/],
    ['three replicas on one server', {}, ['--stream-replicas=3'], /replicas > 1 not supported/],
    [
      'an account without JetStream',
      { config: 'accounts { T { users: [{ user: a, password: b }] } }\nno_auth_user: a' },
      [],
      /^JetStream is turned off for the account of this login/,
    ],
  ])('cannot be made with %s, and that is said', async (_, options, args, reason) => {
    const { jsm } = await linkTo(await serverForTest(options))
    const making = ensureStreams(jsm, 'prod', streamSettings(...args))
    await expect(making).rejects.toMatchObject({ code: expect.stringMatching(/^SB_BUS_/) })
    await expect(making).rejects.toThrow(reason)
  })
})
