import type { BatchHeader } from '@skybraid/shared'
import { eventText } from './event-text.ts'
import { endName, type FlowEnd } from './flow-end.ts'
import type { FlowRow } from './flow-row.ts'
import type { LineFormat } from './line-format.ts'
import { causeName, lossName } from './loss-name.ts'
import { protocolText } from './said-rows.ts'
import type { TapEvent } from './tap-event.ts'

/** One object per line; `type` tells records from events. docs/tap.md lists the fields. */
export function ndjsonFormat(): LineFormat {
  return {
    head: () => '',
    batch: header => `${safeJson(batchObject(header))}\n`,
    rows: rows => rows.map(row => `${safeJson(flowObject(row))}\n`).join(''),
    event: event => `${safeJson(eventObject(event))}\n`,
    tail: () => '',
  }
}

/** The same objects, one per line, as the elements of one array. */
export function jsonFormat(): LineFormat {
  let isEmpty = true
  const element = (object: object) => {
    const text = `${isEmpty ? '' : ',\n'}  ${safeJson(object)}`
    isEmpty = false
    return text
  }
  return {
    head: () => '[\n',
    batch: header => element(batchObject(header)),
    rows: rows => rows.map(row => element(flowObject(row))).join(''),
    event: event => element(eventObject(event)),
    tail: () => (isEmpty ? ']\n' : '\n]\n'),
  }
}

export function flowObject(row: FlowRow): object {
  const { role, from, to, key, handshakeUs, srttUs, minRttUs, end } = row
  return {
    type: 'flow',
    time: new Date(row.unixMs).toISOString(),
    cluster: row.cluster,
    node: row.node,
    boot: row.bootId,
    partition: row.partition,
    sequence: row.sequence,
    protocol: row.protocol,
    ...(row.application === undefined ? {} : { application: row.application }),
    role,
    ...(row.roleGuessed ? { roleGuessed: true } : {}),
    from: endObject(from),
    to: endObject(to),
    state: row.state,
    ...(end === undefined ? {} : { end }),
    flowId: row.flowId,
    ...(key === undefined ? {} : { key }),
    networkNamespace: row.networkNamespace,
    ...flagsOf(row),
    ...(row.standsFor === 1 ? {} : { standsFor: row.standsFor }),
    ageMs: row.ageMs,
    ...(handshakeUs === undefined ? {} : { handshakeUs }),
    ...(srttUs === undefined ? {} : { srttUs }),
    ...(minRttUs === undefined ? {} : { minRttUs }),
    ...countersObject(row),
    totals: row.protocol === 'tcp' ? row.totals : bytesOf(row.totals),
    ...(row.said.length === 0 ? {} : { said: row.said }),
  }
}

function flagsOf(row: FlowRow): object {
  const flags = ['first', 'adopted', 'inherited', 'quiet', 'announcedAgain', 'mptcp'] as const
  return Object.fromEntries(flags.filter(flag => row[flag]).map(flag => [flag, true]))
}

/** UDP has no segments with and without payload, and repeats nothing. */
function countersObject({ protocol, counters }: FlowRow): object {
  if (protocol === 'tcp') return counters
  const { segmentsSent, segmentsReceived } = counters
  return { ...bytesOf(counters), segmentsSent, segmentsReceived }
}

function bytesOf({ bytesSent, bytesReceived }: { bytesSent: number; bytesReceived: number }): object {
  return { bytesSent, bytesReceived }
}

function endObject(end: FlowEnd): object {
  const { address, port, owner, dnsNames } = end
  const name = endName(end)
  return {
    address,
    port,
    ...(name === '' ? {} : { name }),
    ...(dnsNames.length === 0 ? {} : { dnsNames }),
    ...(owner === undefined ? {} : { owner: ownerObject(owner) }),
  }
}

function ownerObject(owner: NonNullable<FlowEnd['owner']>): object {
  return Object.fromEntries(Object.entries(owner).filter(([, value]) => value !== '' && value !== 0))
}

export function batchObject(header: BatchHeader): object {
  const {
    owners,
    names,
    losses,
    operations,
    l7Counts,
    l7Verdicts,
    bootId,
    baseUnixMs,
    sentUnixMs,
    ...plain
  } = header
  return {
    type: 'batch',
    boot: bootId,
    minute: new Date(baseUnixMs).toISOString(),
    sent: new Date(sentUnixMs).toISOString(),
    ...plain,
    losses: Object.fromEntries(losses.map(({ place, records }) => [lossName(place), records])),
    owners: owners.length,
    names: names.length,
    ...(operations.length === 0 ? {} : { operations: operations.length }),
    ...(l7Counts.length === 0
      ? {}
      : { unread: namedCounts(l7Counts.map(({ cause, count }) => [causeName(cause), count])) }),
    ...(l7Verdicts.length === 0
      ? {}
      : {
          applications: namedCounts(
            l7Verdicts.map(({ protocol, connections }) => [protocolText(protocol), connections]),
          ),
        }),
  }
}

function namedCounts(counts: readonly (readonly [string, number])[]): object {
  return Object.fromEntries(counts)
}

export function eventObject(event: TapEvent): object {
  const { kind, unixMs, node, bootId, ...rest } = event
  return {
    type: kind,
    time: new Date(unixMs).toISOString(),
    ...(node === '' ? {} : { node }),
    ...(bootId === '' ? {} : { boot: bootId }),
    ...rest,
    text: eventText(event),
  }
}

/** JSON whose text can be printed anywhere: what a terminal might obey is escaped, which changes no value. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{C}\p{M}\p{Zl}\p{Zp}]/gu, character => {
    let escaped = ''
    for (let at = 0; at < character.length; at++) {
      escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`
    }
    return escaped
  })
}
