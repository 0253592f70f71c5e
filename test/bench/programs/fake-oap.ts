import { parentPort } from 'node:worker_threads'
import { FakeOap } from '../../../packages/aggregator/src/export/oap/fake-oap.testing.ts'

/** An OAP that takes everything and looks at nothing, on a thread of its own. */
const fake = await FakeOap.start({ countOnly: true })
parentPort!.postMessage(fake.address)
