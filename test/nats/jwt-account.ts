import { encodeAccount, encodeOperator, encodeUser, fmtCreds, type User } from '@nats-io/jwt'
import { createAccount, createOperator, createUser } from '@nats-io/nkeys'

/** An operator with one account that may use JetStream, as a server's configuration, and users of that account. */
export async function jwtAccount() {
  const [operator, account, system] = [createOperator(), createAccount(), createAccount()]
  const operatorJwt = await encodeOperator('op', operator, { system_account: system.getPublicKey() })
  const unlimited = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
  const accountJwt = await encodeAccount(
    'telemetry',
    account,
    {
      limits: { subs: -1, data: -1, payload: -1, conn: -1, leaf: -1, imports: -1, exports: -1, ...unlimited },
    },
    { signer: operator },
  )
  const systemJwt = await encodeAccount('SYS', system, {}, { signer: operator })
  const preload = [`${account.getPublicKey()}: ${accountJwt}`, `${system.getPublicKey()}: ${systemJwt}`]
  return {
    config: `operator: ${operatorJwt}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload { ${preload.join('\n')} }`,
    /** The text of a new user's credentials file. */
    async credentials(name: string, user: Partial<User> = {}, expiresUnixSeconds?: number): Promise<string> {
      const keys = createUser()
      const times = expiresUnixSeconds === undefined ? {} : { exp: expiresUnixSeconds }
      const jwt = await encodeUser(name, keys, account, user, times)
      return new TextDecoder().decode(fmtCreds(jwt, keys))
    },
  }
}
