import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../../lab/until.ts'
import { NatsServer } from '../../nats/nats-server.ts'
import { aliveAgain, backInTime, judgeStream, makeStreams, startCollectors, stopped } from '../arena.ts'
import { noServer, sleep } from '../on-server.ts'
import { exactly, type Scenario } from '../scenario.ts'

const logins = (password: string) =>
  `no_auth_user: judge
authorization { users = [ { user: collector, password: "${password}" }, { user: judge, password: "" } ] }`

export const credentials: Scenario = {
  name: 'credentials rotated',
  fault: () => 'the password changes in the server and then in the file; nobody is restarted',
  isShort: true,
  obstacle: noServer,
  async run(size) {
    await using stack = new AsyncDisposableStack()
    const server = await NatsServer.start({ config: logins('first') })
    stack.defer(() => server.stop())
    await makeStreams(server.url)
    const file = join(server.folder, 'password')
    writeFileSync(file, 'first\n')
    const collectors = await startCollectors(
      [server.url],
      {},
      {
        nats: ['--nats', server.url, '--nats-user', 'collector', '--nats-password-file', file],
      },
    )
    stack.defer(() => collectors.end())
    await sleep(3_000)
    const before = await collectors.status()
    await server.reload(logins('second'))
    await until('everybody is cut', async () => (await collectors.status()).connected === 0)
    await sleep(3_000)
    writeFileSync(file, 'second\n')
    const back = await aliveAgain(collectors)
    await sleep(1_000)
    const party = await stopped(collectors)
    const { ending } = party
    return [
      exactly('connected before', before.connected, Object.keys(before.nodes).length),
      ...backInTime(back, size),
      exactly('records lost', ending.lost + ending.unacknowledged, 0),
      ...(await judgeStream(server.url, [party])),
    ]
  },
}
