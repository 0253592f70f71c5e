import { jetstream } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import type { NatsLink, StreamSettings } from '@skybraid/shared/nats'

/** The key-value bucket of this name, which is made if there is none; kept as the streams are. */
export async function openBucket(
  link: NatsLink,
  name: string,
  settings: Pick<StreamSettings, 'streamReplicas' | 'streamStorage'>,
): Promise<KV> {
  // the server is known to have JetStream, and a login need not be allowed to ask
  const manager = new Kvm(jetstream(link.connection, { checkAPI: false }))
  try {
    const kv = await manager.open(name)
    await kv.status()
    return kv
  } catch {
    return manager.create(name, {
      history: 1,
      replicas: settings.streamReplicas,
      storage: settings.streamStorage as 'file' | 'memory',
    })
  }
}
