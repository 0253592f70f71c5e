import { spawn } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { until } from '../lab/until.ts'
import { connectSender } from './batch-sender.ts'
import { afterTest, serverForTest } from './cleanup.ts'
import { hasNatsProgram, natsProgram } from './nats-program.ts'
import { subscribed } from './tap-program.ts'

const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))

describe.skipIf(!hasNatsProgram('cli'))('skybraid decode', () => {
  it('makes batches readable in the stock nats program, raw and compressed ones', async () => {
    const server = await serverForTest()
    const sender = await connectSender(server.url)
    afterTest(() => sender.link.close())
    const skybraid = join(server.folder, 'skybraid')
    writeFileSync(skybraid, `#!/bin/sh\nexec '${process.execPath}' --conditions=source '${main}' "$@"\n`)
    chmodSync(skybraid, 0o755)
    const args = [
      '-s',
      server.url,
      'sub',
      'skybraid.v1.>',
      '--count',
      '2',
      '--translate',
      `${skybraid} decode`,
    ]
    const nats = spawn(natsProgram('cli'), args, { stdio: ['ignore', 'pipe', 'pipe'] })
    afterTest(() => nats.kill('SIGKILL'))
    let out = ''
    nats.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    await subscribed(server)
    await sender.sendTens(1, 2)
    await until('both are printed', () => nats.exitCode !== null, {
      timeoutMs: 120_000,
      describe: () => out,
    })
    expect(out.match(/^# batch of n1, cluster local, .*, sequence [12], 10 records/gm)).toHaveLength(2)
    expect(
      out.match(/ n1 client {2}tcp {2}curl 10\.0\.0\.1:400\d\d → 10\.0\.0\.2:80 {2}closed fin/g),
    ).toHaveLength(20)
    expect(out).toContain('Content-Encoding: zstd')
    expect(out).toContain('Skybraid-Count: 10')
  })
})
