import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkOap } from '../../packages/aggregator/src/export/oap/check-oap.ts'
import { createOapConnection, OapCode } from '../../packages/aggregator/src/export/oap/oap-connection.ts'
import { type OapConfig, oapConfigSchema } from '../../packages/aggregator/src/export/oap/options.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { until } from '../lab/until.ts'
import { type Authority, authority, type Certificate } from '../nats/certificates.ts'
import { eventually } from './eventually.ts'
import { FedAggregator } from './fed-aggregator.ts'
import { Oap } from './oap.ts'
import { oapObstacle } from './oap-jars.ts'
import { OapReader, oapEntity } from './oap-reader.ts'

const missing = oapObstacle() ?? ''
const token = 'of-the-agents'

interface OapSays {
  readonly oap: {
    readonly connected: boolean
    readonly lastError?: string
    readonly failedOpenings: number
    readonly sent: { readonly intervals: number }
    readonly queue: { readonly intervals: number; readonly droppedIntervals: number }
    readonly unknown: { readonly intervals: number }
  }
}

describe.skipIf(missing !== '')(`a real OAP that asks for a token and a certificate ${missing}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'skybraid-oap-secured-'))
  const tokenFile = join(folder, 'token')
  let oap: Oap
  let ours: Authority
  let others: Authority
  let client: Certificate
  let stranger: Certificate

  beforeAll(async () => {
    ours = await authority(folder, 'ours')
    others = await authority(folder, 'others')
    client = await ours.issue('client')
    stranger = await others.issue('stranger')
    oap = await Oap.start({ token, tls: { ...(await ours.issue('server')), ca: ours.ca } })
  }, 600_000)

  afterAll(async () => {
    await oap?.stop()
    rmSync(folder, { recursive: true })
  })

  const pair = ({ cert, key }: Certificate) => ['--oap-cert-file', cert, '--oap-key-file', key]
  const right = () => ['--oap-ca-file', ours.ca, ...pair(client), '--oap-token-file', tokenFile]

  function optionsOf(args: readonly string[]): OapConfig {
    const loaded = loadConfig(oapConfigSchema, { args, env: {} })
    if (loaded.help || !loaded.ok) throw new Error('options')
    return loaded.config as OapConfig
  }

  async function probe(...args: readonly string[]) {
    const connection = createOapConnection(oap.address, optionsOf(args))
    const answer = await connection.probe()
    connection.close()
    return answer
  }

  it('takes those who have both, and nobody else', async () => {
    writeFileSync(tokenFile, `${token}\n`)
    await until('who has both is taken', async () => (await probe(...right())).code === OapCode.ok, {
      timeoutMs: 120_000,
    })
    const withToken = ['--oap-token-file', tokenFile]
    const strangers = await Promise.all([
      probe(...withToken, '--oap-ca-file', ours.ca),
      probe(...withToken, '--oap-ca-file', ours.ca, ...pair(stranger)),
      probe(...withToken, '--oap-ca-file', others.ca, ...pair(client)),
      probe(...withToken),
    ])
    for (const { code } of strangers) expect([OapCode.ok, OapCode.denied]).not.toContain(code)
    expect(strangers[2]!.details).toMatch(/certificate|issuer/i)
    expect(await probe('--oap-ca-file', ours.ca, ...pair(client))).toMatchObject({ code: OapCode.denied })
  })

  it('is what the preflight says of it', async () => {
    const at = { host: '127.0.0.1', port: oap.ports.rest }
    writeFileSync(tokenFile, `${token}\n`)
    expect((await checkOap(oap.address, optionsOf(right()), at)).missing).toEqual([])
    writeFileSync(tokenFile, 'wrong\n')
    expect((await checkOap(oap.address, optionsOf(right()), at)).missing).toEqual([
      expect.stringContaining('does not accept the token (--oap-token-file)'),
    ])
  })

  it('gets nothing with a wrong token, which /status says, is asked seldom, and gets all once it is right', async () => {
    writeFileSync(tokenFile, 'wrong\n')
    const fed = await FedAggregator.start(['--oap', oap.address, ...right()])
    try {
      await fed.publish('web', 'api', 5)
      const says = async () => (await fed.get<OapSays>('/status')).oap
      await until('it is refused', async () => (await says()).failedOpenings > 0, { timeoutMs: 120_000 })
      // where it is tried again soon, it would be for the fourth time
      await new Promise(go => setTimeout(go, 8_000))
      const refused = await says()
      expect(refused.lastError).toBe(`${oap.address}: OAP does not accept the token (--oap-token-file)`)
      expect(refused).toMatchObject({ connected: false, sent: { intervals: 0 }, unknown: { intervals: 0 } })
      expect(refused.failedOpenings).toBeLessThanOrEqual(2)
      // two where one end was taken before the other
      expect([1, 2]).toContain(refused.queue.intervals)
      expect(refused.queue.droppedIntervals).toBe(0)
      expect(await fed.text('/metrics')).toContain(`skybraid_oap_connected{address="${oap.address}"} 0`)
      expect(JSON.stringify(await fed.get('/status'))).not.toMatch(/wrong|of-the-agents/)
      writeFileSync(tokenFile, `${token}\n`)
      await until('it is taken', async () => (await says()).sent.intervals === refused.queue.intervals, {
        timeoutMs: 120_000,
      })
      expect(await says()).toMatchObject({ connected: true, failedOpenings: 0, queue: { intervals: 0 } })
    } finally {
      await fed.close()
    }
    const [[minute]] = [...fed.published]
    const reader = new OapReader(oap)
    const call = 'web.north > api.south'
    await eventually(async () => {
      const { calls } = await reader.topology(minute! - 1, minute! + 1)
      expect(calls.map(({ call, detectedBy }) => [call, detectedBy])).toEqual([[call, ['CLIENT', 'SERVER']]])
    })
    const metric = 'kubernetes_service_relation_connect_cpm'
    await eventually(async () =>
      expect([...(await reader.series(oapEntity(call), minute! - 1, minute! + 1))]).toContainEqual([
        `${metric} @ ${call} @ ${minute}`,
        5,
      ]),
    )
  })
})
