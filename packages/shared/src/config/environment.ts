import { nearestName } from './nearest.ts'
import type { ConfigSchema } from './option.ts'

// Where a service has the prefix's name, Kubernetes puts these beside ours into every container.
const serviceLink =
  /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/

/** One plain sentence for each variable that has the options' prefix but is none of them. */
export function unknownVariables(
  schema: ConfigSchema,
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const known = Object.values(schema).flatMap(option => (option.env === undefined ? [] : [option.env]))
  const prefixes = new Set(known.map(name => name.slice(0, name.indexOf('_') + 1)))
  return Object.keys(env)
    .filter(name => [...prefixes].some(prefix => prefix !== '' && name.startsWith(prefix)))
    .filter(name => !known.includes(name) && !serviceLink.test(name))
    .map(name => {
      const near = nearestName(name, known)
      return `Unknown environment variable ${name}${near === undefined ? '' : `; the nearest is ${near}`}.`
    })
}
