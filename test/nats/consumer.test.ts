import { execFileSync, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { until } from '../lab/until.ts'
import { connectSender } from './batch-sender.ts'
import { afterTest, serverForTest } from './cleanup.ts'

const script = fileURLToPath(new URL('consumer.py', import.meta.url))
const finder = fileURLToPath(new URL('../../scripts/python-consumer.sh', import.meta.url))

/** Python and the folder of the generated code, or why there are none. */
function python(): { readonly path: string; readonly folder: string } | string {
  try {
    const [path, folder] = execFileSync('bash', [finder], { encoding: 'utf8', stdio: 'pipe' })
      .trim()
      .split('\n')
    return { path: path!, folder: folder! }
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? error).trim()
  }
}

const found = python()
const why = typeof found === 'string' ? `(skipped: ${found})` : ''

describe.skipIf(typeof found === 'string')(`a consumer in another language ${why}`, () => {
  it('reads raw and compressed batches with libraries from PyPI and the published proto', async () => {
    if (typeof found === 'string') return
    const server = await serverForTest()
    const sender = await connectSender(server.url)
    afterTest(() => sender.link.close())
    const consumer = spawn(found.path, [script, server.url, 'skybraid.v1.local.flow.>', '3'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PYTHONPATH: found.folder },
    })
    afterTest(() => consumer.kill('SIGKILL'))
    let out = ''
    let err = ''
    consumer.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    consumer.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
    await until('the consumer subscribes', () => out.startsWith('ready'), { describe: () => err })
    const records = [
      { localPort: 40_000, columns: { bytesSent: 79 } },
      { local: '2001:db8::1', remote: '2001:db8::2' },
    ]
    await sender.send({ sequence: 1, records })
    await sender.send({ sequence: 2, firstRecord: 2, records }, { compress: true })
    await sender.send({ sequence: 3, firstRecord: 4, records: [], cleanStop: true })
    await until('the consumer ends', () => consumer.exitCode !== null, { describe: () => out + err })
    const lines = [
      '  tcp curl 10.0.0.1:40000 10.0.0.2:80 79',
      '  tcp curl 2001:db8::1:40000 2001:db8::2:80 0',
    ]
    const batch = (sequence: number, count: number) =>
      `skybraid.v1.local.flow.0.n1 n1 00000000000000aa ${sequence}: ${count} records`
    expect(out.trimEnd().split('\n')).toEqual([
      'ready',
      batch(1, 2),
      ...lines,
      batch(2, 2),
      ...lines,
      batch(3, 0),
    ])
    expect(consumer.exitCode).toBe(0)
  })
})
