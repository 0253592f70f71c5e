import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rollupStream } from '../../packages/shared/src/nats/index.ts'
import { until } from '../lab/until.ts'
import { startAggregatorProgram } from './aggregator-program.ts'
import { linkWith } from './bus-link.ts'
import { linkForTest, serverForTest } from './cleanup.ts'
import { permissionsTemplate } from './permissions-template.ts'

describe('skybraid aggregator with the documented permissions', { timeout: 180_000 }, () => {
  it('makes the streams, takes its partitions and is refused nothing', async () => {
    const server = await serverForTest({ config: permissionsTemplate() })
    const login = (user: string) => {
      const file = join(server.folder, user)
      writeFileSync(file, `change-${user}`)
      return ['--nats-user', user, '--nats-password-file', file, '--nats-inbox-prefix', `_INBOX_${user}`]
    }
    const program = await startAggregatorProgram(server.url, '--cluster', 'prod', ...login('aggregator'))
    await program.ready(120_000)
    const admin = await linkForTest(linkWith(['--nats', server.url, ...login('admin')]))
    await until('every partition is claimed', async () => {
      const { state } = await admin.jsm.streams.info(rollupStream('prod'), { subjects_filter: '>' })
      return Object.keys(state.subjects ?? {}).length >= 4
    })
    await program.everyPartition('and booked', ({ phase }) => phase === 'owning')
    // a refusal would be in the server's log, whether or not the program tells it
    expect(server.log()).not.toMatch(/Violation/i)
    expect(program.out() + program.err()).not.toMatch(/violation/i)
  })
})
