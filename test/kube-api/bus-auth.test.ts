import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type BusAuth,
  busAuthConfigSchema,
  startBusAuth,
  writeIssuer,
} from '../../packages/aggregator/src/program.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import { ensureStreams, flowSubject, type NatsLink } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from '../nats/bus-link.ts'
import { hasNatsProgram } from '../nats/nats-program.ts'
import { NatsServer } from '../nats/nats-server.ts'
import { recordedLog } from '../nats/recorded-log.ts'
import { streamSettings } from '../nats/stream-settings.ts'
import { ApiServer } from './api-server.ts'
import {
  grant,
  makeNamespace,
  makePod,
  makeServiceAccount,
  type TokenRequest,
  tokenOf,
} from './cluster-objects.ts'

const namespace = 'collectors'
const account = 'skybraid-collector'
const forBus = { audiences: ['skybraid-bus'] }

/** What the chart writes, apart from TLS. */
const natsConfig = (issuer: string) => `
authorization {
  timeout: 3
  auth_callout {
    ${issuer}
    account: BUS_AUTH
    auth_users: [ "bus-auth", "admin" ]
  }
}
accounts {
  BUS_AUTH { users: [ { user: "bus-auth", password: "bus-auth-password", permissions: {
    publish: { deny: [">"] }, subscribe: { allow: ["$SYS.REQ.USER.AUTH"] }, allow_responses: true } } ] }
  SKYBRAID { jetstream: enabled, users: [ { user: "admin", password: "admin-password" } ] }
}
`

describe.skipIf(!hasNatsProgram('server'))(
  'a login of its own for each node, by the token of its pod',
  () => {
    let api: ApiServer
    let nats: NatsServer
    let auth: BusAuth
    let reviewer = ''
    const links: NatsLink[] = []
    const reasons: string[] = []

    const write = (name: string, text: string) => {
      const path = join(api.folder, name)
      writeFileSync(path, text)
      return path
    }
    const own = (...args: string[]) => {
      const secret = ['--issuer-secret-file', write('secret', 's'.repeat(40)), '--cluster', 'prod']
      const loaded = loadConfig(busAuthConfigSchema, { args: [...secret, ...args], env: {} })
      if (!loaded.ok) throw new Error(loaded.errors.join(' '))
      return loaded.config
    }
    const login = (user: string) => [
      ...['--nats', nats.url, '--nats-user', user],
      ...['--nats-password-file', write(`${user}.password`, `${user}-password`)],
    ]

    async function startAuth(): Promise<void> {
      const config = own(
        ...login('bus-auth'),
        ...['--service-account', `${namespace}/${account}`, '--status-listen', '127.0.0.1:0'],
        ...['--kubernetes', 'kubeconfig', '--kubeconfig', reviewer],
      )
      const warn = (fields: object) => void reasons.push(String((fields as { reason?: string }).reason))
      auth = await startBusAuth(config, { info: () => {}, warn })
      const url = `http://127.0.0.1:${auth.address.port}/readyz`
      await until('it answers', async () => (await fetch(url)).ok, { timeoutMs: 20_000 })
    }

    /** As a collector on a node: the file is read anew at every connect. */
    async function linkOf(node: string, token: string, log = recordedLog()): Promise<NatsLink> {
      const path = write(`${node}.token`, token)
      const inbox = ['--nats-inbox-prefix', `_INBOX_${node.replaceAll('.', '_')}`]
      const args = ['--nats', nats.url, '--nats-token-file', path, ...inbox]
      const link = await linkWith(args, { once: true, log })
      links.push(link)
      return link
    }

    async function podToken(
      node: string,
      request: TokenRequest = forBus,
      where = namespace,
    ): Promise<string> {
      const name = `c-${Math.random().toString(36).slice(2)}`
      const pod = await makePod(api, { namespace: where, name, node, account })
      return tokenOf(api, where, account, { ...request, pod })
    }

    const publish = (link: NatsLink, node: string) =>
      link.js.publish(flowSubject('prod', 1, node), new Uint8Array([8, 1]), { timeout: 2_000 })

    beforeAll(async () => {
      api = await ApiServer.start()
      for (const name of [namespace, 'elsewhere']) {
        await makeNamespace(api, name)
        await makeServiceAccount(api, name, account)
      }
      for (const name of ['node-a', 'node.b']) await api.must('POST', '/api/v1/nodes', { metadata: { name } })
      await makeServiceAccount(api, namespace, 'bus-auth')
      // exactly what the chart gives it
      await grant(api, { namespace, name: 'bus-auth' }, '', [
        { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'] },
      ])
      reviewer = api.kubeconfig(await tokenOf(api, namespace, 'bus-auth'))
      const issuer = join(api.folder, 'issuer.conf')
      writeIssuer(own(), issuer)
      expect(readFileSync(issuer, 'utf8')).toMatch(/^issuer: "A[A-Z2-7]{55}"\n$/)
      nats = await NatsServer.start({ config: natsConfig(readFileSync(issuer, 'utf8')) })
      const admin = await linkWith(login('admin'))
      await ensureStreams(admin.jsm, 'prod', streamSettings())
      await admin.close()
      await startAuth()
    })
    afterEach(async () => {
      for (const link of links.splice(0)) await link.close()
    })
    afterAll(async () => {
      await auth?.close()
      await nats?.stop()
      await api?.close()
    })

    it('may publish as its node, and hears that it was taken', async () => {
      for (const node of ['node-a', 'node.b']) {
        const ack = await publish(await linkOf(node, await podToken(node)), node)
        expect(ack.stream).toBe('SKYBRAID_FLOW_prod')
      }
      expect(auth.counts()).toMatchObject({ allowed: 2, refused: 0, unknown: 0, malformed: 0 })
    })

    it('may publish as no other node, and hear nobody else', async () => {
      const link = await linkOf('node-a', await podToken('node-a'))
      await expect(publish(link, 'node.b')).rejects.toThrow()
      await expect(publish(link, 'node-a.b')).rejects.toThrow()
      for (const subject of ['skybraid.v1.prod.flow.>', '_INBOX_node_b.>', '$SYS.>', '>']) {
        const heard = link.connection.subscribe(subject, { max: 1 })
        await expect(
          (async () => {
            for await (const _ of heard) break
          })(),
        ).rejects.toThrow(/permission/i)
      }
      expect(link.state().permissionViolations).toBeGreaterThanOrEqual(6)
      expect((await publish(link, 'node-a')).stream).toBe('SKYBRAID_FLOW_prod')
    })

    it.each([
      ['for the API server', () => podToken('node-a', {}), /does not know the token for this bus/],
      ['for another audience', () => podToken('node-a', { audiences: ['other'] }), /does not know the token/],
      [
        'of another service account',
        () => podToken('node-a', forBus, 'elsewhere'),
        /not the service account/,
      ],
      ['that no kubelet asked for', () => tokenOf(api, namespace, account, forBus), /names no node/],
      ['that is none', async () => 'guess', /does not know the token/],
    ])('is not let in with a token %s', async (_what, token, reason) => {
      const before = auth.counts().allowed
      await expect(linkOf('node-a', await token())).rejects.toMatchObject({ code: 'SB_BUS_UNREACHABLE' })
      expect(auth.counts().allowed).toBe(before)
      // a reason that was told a moment ago is not told again
      expect(reasons).toContainEqual(expect.stringMatching(reason))
    })

    it('is not let in once its pod is gone, and its token with it', async () => {
      const pod = await makePod(api, { namespace, name: 'ends', node: 'node-a', account })
      const token = await tokenOf(api, namespace, account, { ...forBus, pod })
      await linkOf('node-a', token)
      await api.must('DELETE', `/api/v1/namespaces/${namespace}/pods/ends?gracePeriodSeconds=0`)
      await until(
        'the token is refused',
        () =>
          linkOf('node-a', token).then(
            () => false,
            () => true,
          ),
        { timeoutMs: 40_000, everyMs: 1000 },
      )
    })

    it('is told that it is refused while nobody answers for logins, and comes in when somebody does', async () => {
      const token = await podToken('node-a')
      await auth.close()
      const log = recordedLog()
      await expect(linkOf('node-a', token, log)).rejects.toMatchObject({
        message: expect.stringMatching(/refuses the login .* whoever it asks about them does not answer/),
      })
      const path = write('waiting.token', token)
      const waiting = linkWith(
        ['--nats', nats.url, '--nats-token-file', path, '--nats-inbox-prefix', '_INBOX_node-a'],
        { log, spreadMs: 500 },
      )
      await startAuth()
      const link = await waiting
      links.push(link)
      expect((await publish(link, 'node-a')).stream).toBe('SKYBRAID_FLOW_prod')
    })

    it('is not let in while Kubernetes cannot be asked, which is counted apart', async () => {
      const token = await podToken('node-a')
      const before = auth.counts().unknown
      await api.stopApi()
      try {
        await expect(linkOf('node-a', token)).rejects.toMatchObject({ code: 'SB_BUS_UNREACHABLE' })
        expect(auth.counts().unknown).toBeGreaterThan(before)
        expect(reasons).toContainEqual(expect.stringMatching(/cannot be asked/))
      } finally {
        await api.restart()
      }
      expect((await publish(await linkOf('node-a', token), 'node-a')).stream).toBe('SKYBRAID_FLOW_prod')
    })
  },
)
