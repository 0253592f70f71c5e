import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUser } from '@nats-io/nkeys'
import { describe, expect, it } from 'vitest'
import { SkybraidError } from '../../packages/shared/src/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { linkForTest, serverForTest } from './cleanup.ts'
import { jwtAccount } from './jwt-account.ts'
import type { NatsServer } from './nats-server.ts'
import { recordedLog } from './recorded-log.ts'

/** What the server knows and what a client shows it. */
interface Login {
  readonly config: string
  readonly args: (file: (name: string, text: string) => string) => string[]
  /** The same with something that the server does not know. */
  readonly wrongArgs: (file: (name: string, text: string) => string) => string[]
  readonly secrets: readonly string[]
}

const secret = 'hunter2-correct-horse'
const wrong = 'hunter2-wrong-horse'

function password(): Login {
  return {
    config: `authorization { user: node-a, password: "${secret}" }`,
    args: file => ['--nats-user', 'node-a', '--nats-password-file', file('password', `${secret}\n`)],
    wrongArgs: file => ['--nats-user', 'node-a', '--nats-password-file', file('password', wrong)],
    secrets: [secret, wrong],
  }
}

function token(): Login {
  return {
    config: `authorization { token: "${secret}" }`,
    args: file => ['--nats-token-file', file('token', secret)],
    wrongArgs: file => ['--nats-token-file', file('token', wrong)],
    secrets: [secret, wrong],
  }
}

function nkey(): Login {
  const [known, stranger] = [createUser(), createUser()]
  const seed = (keys: typeof known) => new TextDecoder().decode(keys.getSeed())
  return {
    config: `authorization { users: [{ nkey: ${known.getPublicKey()} }] }`,
    args: file => ['--nats-nkey-file', file('nkey', seed(known))],
    wrongArgs: file => ['--nats-nkey-file', file('nkey', seed(stranger))],
    secrets: [seed(known), seed(stranger)],
  }
}

async function credentials(): Promise<Login> {
  const [account, strangers] = [await jwtAccount(), await jwtAccount()]
  const [known, stranger] = [await account.credentials('node-a'), await strangers.credentials('node-a')]
  return {
    config: account.config,
    args: file => ['--nats-creds-file', file('creds', known)],
    wrongArgs: file => ['--nats-creds-file', file('creds', stranger)],
    secrets: [known, stranger].flatMap(text => text.match(/^(SU\w+|ey[\w.-]+)$/gm)!),
  }
}

function fileIn(server: NatsServer) {
  return (name: string, text: string) => {
    const path = join(server.folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
}

async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it was expected to fail')
}

describe('logging in to the bus', () => {
  it.each([
    ['user and password', password],
    ['a token', token],
    ['an nkey', nkey],
    ['a JWT with its seed', credentials],
  ])('works by %s; a wrong one is told, and no secret is', async (_, make) => {
    const login = await make()
    const server = await serverForTest({ config: login.config })
    const file = fileIn(server)
    const log = recordedLog()
    const link = await linkForTest(linkWith(['--nats', server.url, ...login.args(file)], { log, once: true }))
    await link.jsm.getAccountInfo()
    const wrongArgs = ['--nats', server.url, ...login.wrongArgs(file)]
    const error = await errorOf(linkWith(wrongArgs, { log, once: true }))
    expect(error).toBeInstanceOf(SkybraidError)
    expect(error.message).toContain(`The bus ${server.url} cannot be used: it refuses the login (`)
    const told = `${log.text()}\n${error.stack}\n${JSON.stringify(error)}\n${String(error.cause)}`
    expect(login.secrets.length).toBeGreaterThan(1)
    for (const text of login.secrets) expect(told).not.toContain(text)
  })

  it('without any tells that one is needed', async () => {
    const server = await serverForTest({ config: password().config })
    const error = await errorOf(linkWith(['--nats', server.url], { once: true }))
    expect(error.message).toContain('it refuses the login (')
  })

  it.each([
    ['--nats-nkey-file', 'SUAnoseed', 'the seed of an nkey'],
    ['--nats-creds-file', `-----BEGIN NATS USER JWT-----\n${secret}\n`, 'credentials of a JWT user'],
    ['--nats-token-file', '\n', 'a token'],
  ])('says at once that what %s names holds something else', async (flag, text, what) => {
    const server = await serverForTest()
    const path = fileIn(server)('broken', text)
    const error = await errorOf(linkWith(['--nats', server.url, flag, path]))
    expect(error).toMatchObject({ code: 'SB_CONFIG' })
    expect(error.message).toContain(`${path} does not hold ${what}: `)
    expect(error.message).not.toContain(secret)
    const missing = await errorOf(linkWith(['--nats', server.url, flag, `${path}.not`]))
    expect(missing).toMatchObject({ code: 'SB_CONFIG', message: expect.stringContaining('ENOENT') })
  })
})

describe('rotated credentials', () => {
  it('are read anew, without a restart, also if the file is broken for a while', async () => {
    const [before, after] = [nkey(), nkey()]
    const server = await serverForTest({ config: before.config })
    const file = fileIn(server)
    const args = ['--nats', server.url, ...before.args(file)]
    const link = await linkForTest(linkWith(args, { spreadMs: 200 }))
    file('nkey', 'half a se')
    // the server cuts off whoever logged in with what it does not know any more
    await server.reload(after.config)
    await until('the old login is refused', () => /authorization/i.test(link.state().lastError ?? ''), {
      describe: () => JSON.stringify(link.state()),
    })
    expect(link.state().connected).toBe(false)
    after.args(file)
    await until('the new login is used', () => link.state().connected)
    await link.jsm.getAccountInfo()
    expect(link.connection.isClosed()).toBe(false)
  })

  it('replace those of a JWT that expires', async () => {
    const account = await jwtAccount()
    const server = await serverForTest({ config: account.config })
    const file = fileIn(server)
    const soon = Math.floor(Date.now() / 1000) + 8
    const path = file('creds', await account.credentials('node-a', {}, soon))
    const link = await linkForTest(
      linkWith(['--nats', server.url, '--nats-creds-file', path], { spreadMs: 200 }),
    )
    await until('the login expires', () => link.state().disconnects > 0)
    file('creds', await account.credentials('node-a'))
    await until('the new login is used', () => link.state().connected)
    await link.jsm.getAccountInfo()
  })
})
