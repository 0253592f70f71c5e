import { readFile } from 'node:fs/promises'
import { auditLog } from './cluster/control-plane.ts'

/** A request as the API server wrote it down. */
export interface AuditEvent {
  readonly verb: string
  readonly user: { readonly username: string }
  readonly objectRef?: { readonly resource: string }
  readonly responseStatus?: { readonly code?: number }
}

/** What a service account of the release's namespace asked since the cluster began; a watch counts when it ends. */
export async function requestsOf(serviceAccount: string): Promise<readonly AuditEvent[]> {
  const text = await readFile(auditLog, 'utf8')
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as AuditEvent)
    .filter(event => event.user.username === `system:serviceaccount:skybraid:${serviceAccount}`)
}

/** How often it was given a list of each resource. */
export async function listsOf(serviceAccount: string): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const { verb, objectRef, responseStatus } of await requestsOf(serviceAccount)) {
    if (verb !== 'list' || objectRef === undefined || responseStatus?.code !== 200) continue
    counts.set(objectRef.resource, (counts.get(objectRef.resource) ?? 0) + 1)
  }
  return counts
}
