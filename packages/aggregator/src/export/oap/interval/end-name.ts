import { parseAddress } from '@skybraid/shared'
import { hash53 } from '../../../resolve/readable-id.ts'

/** How OAP knows one end of a conversation. */
export interface EndName {
  readonly service: string
  /** The instance; empty for an end that is none, such as an outside name. */
  readonly pod: string
  /** What OAP shows as the instance's attributes. */
  readonly properties: readonly (readonly [key: string, value: string])[]
}

/** OAP cuts longer names without a word; they are counted in UTF-16 units there as here. */
export const nameLimits = { service: 70, pod: 70, endpoint: 150 } as const

/** For ends outside of everything that has a name. */
export const externalService = 'external'

const separator = '~'
// control characters, separators of lines and paragraphs, and halves of surrogate pairs
const unsuited = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/gu

/**
 * The name as it can be sent: unchanged if it fits, otherwise cut and told apart by a hash of the whole, so that two
 * names never become one. `::` would make a group of what is before it.
 */
export function fitName(name: string, limit: number): string {
  const suited = name.replace(unsuited, '?').replaceAll('::', ':?').trim()
  if (suited === name && name.length <= limit && !looksCut(name)) return name
  const mark = `${separator}${hash53(name).toString(36).padStart(11, '0')}`
  return cutWhole(suited, limit - mark.length) + mark
}

/** A name that ends as a cut one does could imitate it. */
function looksCut(name: string): boolean {
  return /~[0-9a-z]{11}$/.test(name)
}

/** Never leaves half of a character behind. */
function cutWhole(text: string, length: number): string {
  const cut = text.slice(0, Math.max(0, length))
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut
}

// what has neither can't be one: most names are told apart by this alone
const mayBeAddress = /^[\d.]+(:\d+)?$|:/

/** `host`, or `host:port`, where host is an IPv4 or IPv6 address: OAP must never see one as a name. */
export function isAddress(name: string): boolean {
  if (!mayBeAddress.test(name)) return false
  const bare = name.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/%.*$/, '')
  return parseAddress(bare) !== undefined || parseAddress(bare.replace(/:\d+$/, '')) !== undefined
}

/** Names that were found good: they never change, and most are used again and again. */
const sound = new WeakSet<EndName>()

/** Why OAP must not get this name; undefined if it may. */
export function nameProblem(name: EndName): NameProblem | undefined {
  if (sound.has(name)) return undefined
  const problem = problemOf(name)
  if (problem === undefined) sound.add(name)
  return problem
}

function problemOf({ service, pod }: EndName): NameProblem | undefined {
  if (service === '' || service !== service.trim()) return 'no_name'
  const ungrouped = service.slice(service.indexOf('::') < 0 ? 0 : service.indexOf('::') + 2)
  if (ungrouped === 'Unknown' || [service, ungrouped, pod].some(isAddress)) return 'address_as_name'
  if (service.length > nameLimits.service || pod.length > nameLimits.pod) return 'name_too_long'
  return undefined
}

export type NameProblem = 'no_name' | 'address_as_name' | 'name_too_long'
