import {
  createFlowColumns,
  type DnsName,
  decodeFlowBatch,
  EndReason,
  encodeFlowBatch,
  type FlowColumns,
  type Owner,
  Protocol,
  packKind,
  parseAddress,
  Role,
  State,
} from '@skybraid/shared'
import { type FlowRow, flowRows } from './flow-row.ts'

export interface BatchParts {
  readonly cluster?: string
  readonly node?: string
  readonly bootId?: string
  readonly partition?: number
  readonly sequence?: number
  readonly firstRecord?: number
  readonly cleanStop?: boolean
  readonly losses?: readonly { place: number; records: number }[]
  readonly owners?: readonly Partial<Owner>[]
  readonly names?: readonly { address: string; name: string }[]
  readonly records?: readonly RecordParts[]
}

export interface RecordParts {
  readonly kind?: number
  readonly local?: string
  readonly remote?: string
  readonly localPort?: number
  readonly remotePort?: number
  readonly owner?: number
  readonly atMs?: number
  readonly columns?: Partial<Record<keyof FlowColumns['u32'], number>>
}

export const minuteMs = Date.UTC(2026, 10, 27, 2, 14)
export const clientKind = packKind(Protocol.tcp, Role.client, State.closed, EndReason.fin)
const noOwner: Owner = { cgroup: '', podUid: '', containerId: '', unit: '', process: '', pid: 0 }

/** A valid batch as it goes over the bus. */
export function batchOf(parts: BatchParts = {}): Uint8Array<ArrayBuffer> {
  const columns = createFlowColumns()
  const { records = [{}] } = parts
  Object.assign(columns.header, {
    cluster: parts.cluster ?? 'local',
    node: parts.node ?? 'n1',
    bootId: parts.bootId ?? '00000000000000aa',
    partition: parts.partition ?? 0,
    sequence: parts.sequence ?? 1,
    firstRecord: parts.firstRecord ?? 0,
    baseUnixMs: minuteMs,
    sentUnixMs: minuteMs + 30_000,
    cleanStop: parts.cleanStop ?? false,
    losses: [...(parts.losses ?? [])],
    owners: (parts.owners ?? [{ process: 'curl', pid: 7 }]).map(owner => ({ ...noOwner, ...owner })),
    names: (parts.names ?? []).map(
      ({ address, name }): DnsName => ({
        address: parseAddress(address)!,
        name,
        ttlSeconds: 30,
        seenUnixMs: minuteMs,
      }),
    ),
  })
  columns.count = records.length
  for (const [row, record] of records.entries()) fillRecord(columns, row, record)
  return encodeFlowBatch(columns)
}

function fillRecord(columns: FlowColumns, row: number, record: RecordParts): void {
  const { u32 } = columns
  const { local = '10.0.0.1', remote = '10.0.0.2', localPort = 40_000, remotePort = 80 } = record
  const isV6 = local.includes(':')
  u32.kind[row] = (record.kind ?? clientKind) | (isV6 ? 4 : 0)
  u32.ports[row] = (localPort << 16) | remotePort
  u32.owner[row] = record.owner ?? 0
  u32.atMs[row] = record.atMs ?? 5_123
  u32.localAddress[row] = addressWord(columns, local, 2 * row)
  u32.remoteAddress[row] = addressWord(columns, remote, 2 * row + 1)
  for (const [name, value] of Object.entries(record.columns ?? {})) {
    u32[name as keyof FlowColumns['u32']][row] = value
  }
}

function addressWord(columns: FlowColumns, text: string, v6Index: number): number {
  const bytes = parseAddress(text)!
  if (bytes.length === 4) return new DataView(bytes.buffer).getUint32(0, true)
  columns.v6Addresses.set(bytes, 16 * v6Index)
  return v6Index
}

export function decoded(bytes: Uint8Array): FlowColumns {
  const columns = createFlowColumns()
  const result = decodeFlowBatch(bytes, columns)
  if (!result.ok) throw new Error(result.reason)
  return columns
}

export function rowsOf(parts: BatchParts): FlowRow[] {
  return flowRows(decoded(batchOf(parts)))
}
