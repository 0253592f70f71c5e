import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { batchOf } from '../../packages/cli/src/flow-lines/rows.testing.ts'
import { compressFlowPayload, flowSubject } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { linkWith } from './bus-link.ts'
import { afterTest, linkForTest, serverForTest } from './cleanup.ts'
import { hasNatsProgram, natsProgram } from './nats-program.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const decode = `${process.execPath} --conditions=source ${root}packages/cli/src/main.ts decode`

/** Runs a program with something on its standard input; answers with what it prints. */
function run(program: string, args: readonly string[], input?: Uint8Array): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  afterTest(() => child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
  }
  child.stdin.on('error', () => {}).end(input)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => (code === 0 ? resolve(text) : reject(new Error(text))))
  })
}

const batch = batchOf({
  node: 'worker.a',
  owners: [{ process: 'curl', pid: 7 }],
  records: [{ remote: '10.0.0.9', remotePort: 5432, columns: { bytesSent: 1234 } }],
})

describe('other tools', () => {
  it.skipIf(!hasNatsProgram('cli'))('nats sub shows the records of raw and compressed batches', async () => {
    const server = await serverForTest()
    const link = await linkForTest(linkWith(['--nats', server.url]))
    const subject = flowSubject('local', 0, 'worker.a')
    const output = run(natsProgram('cli'), [
      ...['sub', 'skybraid.v1.local.flow.>', '--server', server.url],
      ...['--count', '2', '--translate', decode],
    ])
    const { connection } = link
    await Promise.race([
      until('it listens', async () => {
        const { connections } = await server.monitor<{
          connections: { subscriptions: number; lang: string }[]
        }>('connz')
        return connections.some(client => client.lang === 'go' && client.subscriptions > 0)
      }),
      output,
    ])
    connection.publish(subject, batch)
    connection.publish(subject, compressFlowPayload(batch))
    const text = await output
    expect(text.match(/curl .* 10\.0\.0\.9:5432 .*1234 B/g)).toHaveLength(2)
  })

  it('protoc shows a batch with the published definition', async () => {
    const args = ['--decode', 'skybraid.v1.FlowBatch', '-I', `${root}proto`, 'skybraid/v1/flow.proto']
    const text = await run('protoc', args, batch)
    expect(text).toContain('node: "worker.a"')
    expect(text).toContain('bytes_sent: 1234')
  })
})
