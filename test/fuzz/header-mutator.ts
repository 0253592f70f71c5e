import { flowHeader, flowHeaders } from '../../packages/shared/src/nats/index.ts'
import type { Payload } from './fuzz-target.ts'
import type { Random } from './random.ts'

const node = 'n.1'
const subject = 'skybraid.v1.c.flow.0.n_1'
const numbers = [
  '0',
  '00',
  '-1',
  '1e3',
  ' 1',
  '9007199254740991',
  '9007199254740992',
  '99999999999999999',
  '',
]
const texts = ['', '\0', 'zstd', 'ZSTD', 'gzip', 'n'.repeat(70_000), '\ud800', '../..', '000000000000000g']
const subjects = [
  '',
  'skybraid',
  'skybraid.v1.c.flow',
  'skybraid.v1.c.flow.0',
  'skybraid.v1.c.flow.-1.n_1',
  'skybraid.v1.c.flow.01.n_1',
  'skybraid.v1.c.flow.9007199254740993.n_1',
  'skybraid.v1.c.flow.0.n_1.more',
  'skybraid.v1.c.rollup.0',
  'skybraid.v2.c.flow.0.n_1',
]

/** The headers and the subject of an honest message with this encoding. */
export function honestEnvelope(encoding: Payload['encoding']): Pick<Payload, 'headers' | 'subject'> {
  const head = { node, bootId: '00000000000000a1', partition: 0, sequence: 1, recordCount: 1, encoding }
  return { headers: new Map(flowHeaders(head)), subject }
}

/** One to three headers are missing or say something else, or the subject does. */
export function hostileEnvelope(payload: Payload, random: Random): Payload {
  if (random.oneIn(3)) return { ...payload, subject: random.pick(subjects) }
  const headers = new Map(payload.headers)
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const name = random.pick(Object.values(flowHeader))
    if (random.oneIn(4)) headers.delete(name)
    else headers.set(name, random.pick(random.oneIn(2) ? numbers : texts))
  }
  return { ...payload, headers }
}
