import type { Lab } from '../lab/lab.ts'
import { until } from '../lab/until.ts'
import { programFile } from './bench-program.ts'
import type { Traffic } from './kernel-time.ts'

export const transactionsPerRound = 40_000
const program = programFile('ping-pong.py')

/** One client and one server of ping-pong.py; a transaction is one message each way. */
export async function pingPongTraffic(lab: Lab, protocol: 'tcp' | 'udp'): Promise<Traffic> {
  const port = protocol === 'tcp' ? 9001 : 9002
  const server = await lab.spawn('a1', ['python3', program, `${protocol}-server`, String(port)])
  await lab.listening(server, port, protocol)
  return async () => {
    const target = [lab.addresses('a1').v4, String(port), String(transactionsPerRound)]
    const client = await lab.spawn('a2', ['python3', program, `${protocol}-client`, ...target])
    await until('client connected', () => client.stdout.includes('connected'))
    client.write('go\n')
    await until('client done', () => client.stdout.includes('done'), { timeoutMs: 120_000 })
    client.write('end\n')
    await client.ended
    return transactionsPerRound
  }
}
