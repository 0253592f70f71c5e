import { type PartitionLayout, parseLayout } from '../partition-layout.ts'
import type { NatsLink } from './connect.ts'
import { layoutBucket, layoutKey } from './subjects.ts'

/**
 * How records are split, as it is written on the bus; undefined where nobody wrote anything. Rejects if the bus does not
 * say. Reads the bucket's stream directly, so that a login needs one permission for it and a program no client of buckets.
 */
export async function readLayout({ jsm }: NatsLink, cluster: string): Promise<PartitionLayout | undefined> {
  const bucket = layoutBucket(cluster)
  const subject = `$KV.${bucket}.${layoutKey}`
  const message = await jsm.direct.getMessage(`KV_${bucket}`, { last_by_subj: subject }).catch(error => {
    if (isAbsent(error)) return null
    throw error
  })
  if (message === null) return undefined
  const layout = parseLayout(new TextDecoder().decode(message.data))
  if (layout === undefined) throw new Error('the layout of partitions on the bus cannot be read')
  return layout
}

/** Nobody answers for a stream that does not exist. */
function isAbsent(error: unknown): boolean {
  const { name, message, cause } = error as { name?: string; message?: string; cause?: unknown }
  if (/no responders|stream not found|not enabled/i.test(`${name} ${message}`)) return true
  return cause !== undefined && isAbsent(cause)
}
