import { jetstream } from '@nats-io/jetstream'
import { connect, headers, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { flowFilter } from '../../packages/shared/src/nats/index.ts'

export interface RelayOptions {
  readonly fromUrl: string
  readonly toUrl: string
  readonly cluster: string
  /** Of a hundred messages, how many come twice. */
  readonly doubledPercent: number
  /** Every message comes up to so much later, each by itself: the order is lost. */
  readonly spreadMs: number
  readonly random: () => number
  readonly lastsMs: number
}

/** Takes every batch from one server to another one, some twice and none in order. The servers know nothing of it. */
export interface Relay {
  readonly counts: { readonly taken: number; readonly doubled: number; readonly given: number }
  /** Waits until everything that was taken has been given. */
  drained(): Promise<void>
  close(): Promise<void>
}

/** On a machine with much else to do an acknowledgement may take long. */
const giveMs = 60_000

export async function startRelay(options: RelayOptions): Promise<Relay> {
  const from = await connect({ servers: options.fromUrl, noAsyncTraces: true })
  const to = await connect({ servers: options.toUrl, noAsyncTraces: true })
  const js = jetstream(to, { timeout: giveMs })
  const counts = { taken: 0, doubled: 0, given: 0 }
  let under = 0
  let failure: unknown
  // not under its id: the stream would drop what comes twice
  const give = (message: Msg) => {
    under++
    setTimeout(async () => {
      const own = headers()
      for (const key of message.headers?.keys() ?? []) {
        if (!key.startsWith('Nats-')) own.set(key, message.headers!.get(key))
      }
      try {
        await js.publish(message.subject, message.data, { headers: own })
        counts.given++
      } catch (error) {
        failure = error
      }
      under--
    }, options.random() * options.spreadMs)
  }
  from.subscribe(flowFilter(options.cluster), {
    callback: (error, message) => {
      if (error) failure = error
      counts.taken++
      give(message)
      if (options.random() * 100 < options.doubledPercent) {
        counts.doubled++
        give(message)
      }
    },
  })
  await from.flush()
  const closeBoth = () => Promise.all([from, to].map((each: NatsConnection) => each.close()))
  const timer = setTimeout(() => void closeBoth(), options.lastsMs)
  timer.unref()
  return {
    counts,
    async drained() {
      const deadline = performance.now() + options.spreadMs + giveMs
      await from.flush()
      while (under > 0 && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 20))
      if (failure !== undefined) throw failure
      if (under > 0) throw new Error(`${under} messages were not given in time`)
    },
    async close() {
      clearTimeout(timer)
      await closeBoth()
    },
  }
}
