import { copyFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { type Authority, authority, type Certificate } from './certificates.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { removeFolder, scratchFolder } from './scratch-folder.ts'

function folderForTest(): string {
  const folder = scratchFolder()
  afterTest(() => removeFolder(folder))
  return folder
}

/** A server's lines; with an authority for clients it takes only those that show a certificate of it. */
function tlsLines({ cert, key }: Certificate, clients?: Authority): string {
  const verify = clients === undefined ? '' : `, ca_file: "${clients.ca}", verify: true`
  return `tls { cert_file: "${cert}", key_file: "${key}"${verify} }`
}

const tlsUrl = (url: string) => url.replace('nats://', 'tls://')

describe('TLS on the bus', () => {
  it('takes a server that the named authority signed, and no other', async () => {
    const folder = folderForTest()
    const [ours, other] = await Promise.all([authority(folder, 'ours'), authority(folder, 'other')])
    const server = await serverForTest({ config: tlsLines(await ours.issue('server')) })
    for (const url of [server.url, tlsUrl(server.url)]) {
      const link = await linkForTest(linkWith(['--nats', url, '--nats-ca-file', ours.ca]))
      await link.jsm.getAccountInfo()
    }
    const untrusted = 'its certificate is not signed by one that is trusted here'
    const args = ['--nats', tlsUrl(server.url)]
    await expect(linkWith(args, { once: true })).rejects.toThrow(untrusted)
    await expect(linkWith([...args, '--nats-ca-file', other.ca], { once: true })).rejects.toThrow(untrusted)
    await expect(linkWith([...args, '--nats-ca-file', '/no/such.pem'])).rejects.toMatchObject({
      code: 'SB_CONFIG',
      message: expect.stringContaining('The file /no/such.pem cannot be read'),
    })
  })

  it('is never left out where it was asked for', async () => {
    const server = await serverForTest()
    await expect(linkWith(['--nats', tlsUrl(server.url)], { once: true })).rejects.toThrow(
      'it offers no TLS, which the options ask for',
    )
  })

  it('refuses a server with the name of another', async () => {
    const ours = await authority(folderForTest(), 'ours')
    const server = await serverForTest({ config: tlsLines(await ours.issue('server')) })
    const url = tlsUrl(server.url).replace('127.0.0.1', 'localhost')
    await expect(linkWith(['--nats', url, '--nats-ca-file', ours.ca], { once: true })).rejects.toThrow(
      /localhost/,
    )
  })

  it('shows a client certificate where the server demands one, and the new one after a rotation', async () => {
    const folder = folderForTest()
    const [ours, next] = await Promise.all([authority(folder, 'ours'), authority(folder, 'next')])
    const [serverFiles, client, nextClient] = await Promise.all([
      ours.issue('server'),
      ours.issue('client'),
      next.issue('client'),
    ])
    const server = await serverForTest({ config: tlsLines(serverFiles, ours) })
    const args = ['--nats', tlsUrl(server.url), '--nats-ca-file', ours.ca]
    await expect(linkWith(args, { once: true })).rejects.toThrow('it does not take our client certificate')
    const [cert, key] = [`${folder}/used.pem`, `${folder}/used.key`]
    const use = (files: Certificate) => {
      copyFileSync(files.cert, cert)
      copyFileSync(files.key, key)
    }
    use(client)
    const shown = [...args, '--nats-cert-file', cert, '--nats-key-file', key]
    const link = await linkForTest(linkWith(shown, { spreadMs: 200 }))
    await server.reload(tlsLines(serverFiles, next))
    use(nextClient)
    await server.kill()
    await until('the connection is gone', () => !link.state().connected)
    await server.restart()
    await until('the new certificate is taken', () => link.state().connected)
    await link.jsm.getAccountInfo()
  })
})
