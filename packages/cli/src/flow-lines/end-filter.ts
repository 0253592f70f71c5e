import { parseAddress } from '@skybraid/shared'
import type { FlowEnd } from './flow-end.ts'

/** Which ends `--from` and `--to` mean: every part that is given must fit. */
export interface EndFilter {
  readonly port?: number
  readonly network?: { readonly bytes: Uint8Array; readonly bits: number }
  /** In lower case; `*` stands for any text. */
  readonly name?: string
}

export type EndFilterResult =
  | { readonly ok: true; readonly filter: EndFilter }
  /** The end of a sentence that begins with the flag. */
  | { readonly ok: false; readonly problem: string }

/** Shorter pieces of an id would fit too many. */
const shortestIdPrefix = 6

/**
 * Reads `NAME`, `NAME:PORT`, `:PORT`, `ADDRESS`, `ADDRESS/BITS`, `[IPV6]:PORT`. Names are those of a process, unit,
 * container, pod or host, or `namespace/workload`. Never throws.
 */
export function parseEndFilter(text: string): EndFilterResult {
  const { who, portText } = splitPort(text)
  if (who === '' && portText === undefined) return problem('needs a name, an address or a :port')
  const port = portText === undefined ? undefined : Number(portText)
  if (port !== undefined && port > 65_535) return problem(`has the port ${portText}, and ports end at 65535`)
  const withPort = port === undefined ? {} : { port }
  if (who === '') return { ok: true, filter: withPort }
  const network = parseNetwork(who)
  if (network === 'bad') return problem(`has the network ${JSON.stringify(who)}, which is none`)
  if (network !== undefined) return { ok: true, filter: { ...withPort, network } }
  return { ok: true, filter: { ...withPort, name: who.toLowerCase() } }
}

export function endMatches(filter: EndFilter, end: FlowEnd): boolean {
  if (filter.port !== undefined && filter.port !== end.port) return false
  if (filter.network !== undefined && !contains(filter.network, end.addressBytes)) return false
  return filter.name === undefined || isCalled(end, filter.name)
}

function splitPort(text: string): { who: string; portText: string | undefined } {
  const bracket = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(text)
  if (bracket !== null) return { who: bracket[1], portText: bracket[2] }
  // an IPv6 address ends in something like a port
  const isV6 = /^[^:]*:[^:]*:/.test(text) && parseAddress(text.split('/')[0]) !== undefined
  const end = isV6 ? null : /^(.*):(\d{1,5})$/s.exec(text)
  return end === null ? { who: text, portText: undefined } : { who: end[1], portText: end[2] }
}

function parseNetwork(text: string): EndFilter['network'] | 'bad' | undefined {
  const slash = text.indexOf('/')
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (bytes === undefined) return undefined
  const all = 8 * bytes.length
  if (slash < 0) return { bytes, bits: all }
  const bitsText = text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(bitsText) || Number(bitsText) > all) return 'bad'
  return { bytes, bits: Number(bitsText) }
}

function contains({ bytes, bits }: NonNullable<EndFilter['network']>, address: Uint8Array): boolean {
  if (bytes.length !== address.length) return false
  const whole = bits >> 3
  for (let at = 0; at < whole; at++) if (bytes[at] !== address[at]) return false
  const rest = bits & 7
  return rest === 0 || (bytes[whole] ^ address[whole]) >>> (8 - rest) === 0
}

function isCalled({ owner, dnsNames }: FlowEnd, name: string): boolean {
  if (dnsNames.some(known => textMatches(name, known.replace(/\.$/, '')))) return true
  if (owner === undefined) return false
  const { process, unit, containerId, podUid } = owner
  if (textMatches(name, process) || textMatches(name, unit)) return true
  if (unit.endsWith('.service') && textMatches(name, unit.slice(0, -'.service'.length))) return true
  const place = podUid !== '' ? podUid : containerId !== '' ? containerId : unit
  if (place !== '' && textMatches(name, `${place}/${process}`)) return true
  if (name.length < shortestIdPrefix) return false
  const id = name.startsWith('pod:') ? name.slice('pod:'.length) : name
  return (containerId !== '' && containerId.startsWith(id)) || (podUid !== '' && podUid.startsWith(id))
}

/** Without regular expressions, so that no pattern takes long. */
function textMatches(pattern: string, text: string): boolean {
  if (text === '') return false
  const lower = text.toLowerCase()
  const parts = pattern.split('*')
  if (parts.length === 1) return lower === pattern
  const [head, tail] = [parts[0], parts[parts.length - 1]]
  if (lower.length < head.length + tail.length || !lower.startsWith(head) || !lower.endsWith(tail))
    return false
  let at = head.length
  for (const part of parts.slice(1, -1)) {
    const found = lower.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= lower.length - tail.length
}

function problem(text: string): EndFilterResult {
  return { ok: false, problem: text }
}
