import { type FlowColumns, formatAddress, formatV4Word, isV6, type Owner } from '@skybraid/shared'

/** One end of a flow, as far as its batch tells. */
export interface FlowEnd {
  readonly address: string
  /** 4 or 16 bytes. */
  readonly addressBytes: Uint8Array
  readonly port: number
  /** Who the local end belongs to; the other end's owner is known only where it is local. */
  readonly owner?: Owner
  /** Names that DNS answers gave to the remote end's address. */
  readonly dnsNames: readonly string[]
}

const shownContainerId = 12
const shownPodUid = 8

/** The local or remote end of record `row`. */
export function flowEnd(
  columns: FlowColumns,
  row: number,
  which: 'local' | 'remote',
  dns: ReadonlyMap<string, readonly string[]>,
): FlowEnd {
  const isLocal = which === 'local'
  const word = columns.u32[isLocal ? 'localAddress' : 'remoteAddress'][row]
  const ports = columns.u32.ports[row]
  const addressBytes = isV6(columns.u32.kind[row])
    ? columns.v6Addresses.slice(16 * word, 16 * word + 16)
    : Uint8Array.of(word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24)
  const address = addressBytes.length === 4 ? formatV4Word(word) : formatAddress(addressBytes)
  const port = isLocal ? ports >>> 16 : ports & 0xffff
  if (!isLocal) return { address, addressBytes, port, dnsNames: dns.get(address) ?? [] }
  return { address, addressBytes, port, owner: columns.header.owners[columns.u32.owner[row]], dnsNames: [] }
}

/** Names of a batch by the address they stand for. */
export function dnsNamesOf({ header }: FlowColumns): Map<string, string[]> {
  const names = new Map<string, string[]>()
  for (const { address, name } of header.names) {
    const text = formatAddress(address)
    const known = names.get(text)
    if (known === undefined) names.set(text, [name])
    else if (!known.includes(name)) known.push(name)
  }
  return names
}

/** What a line calls the end, apart from its address: `nginx.service/nginx`, `example.com`; empty if nothing is known. */
export function endName({ owner, dnsNames }: FlowEnd): string {
  if (owner === undefined) return dnsNames[0] ?? ''
  const place = placeOf(owner)
  if (place === '' || place === owner.process || place === `${owner.process}.service`)
    return owner.process || place
  return owner.process === '' ? place : `${place}/${owner.process}`
}

/** `10.0.0.1:80`, `[::1]:80`. */
export function socketText({ address, port }: FlowEnd): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function placeOf(owner: Owner): string {
  if (owner.podUid !== '') return `pod:${owner.podUid.slice(0, shownPodUid)}`
  if (owner.containerId !== '') return owner.containerId.slice(0, shownContainerId)
  return owner.unit
}
