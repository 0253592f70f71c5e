import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

/** Where the published messages lie, seen from the sources and from what is built of them. */
const protoFolder = fileURLToPath(new URL('../../../../../proto/', import.meta.url))
const files = ['skywalking/v3/access-log.proto', 'skywalking/v3/management.proto']

let loaded: protobuf.Root | undefined

/** The messages of the published .proto files, for whatever is not written on the hot path. */
export function oapProtocol(): protobuf.Root {
  if (loaded !== undefined) return loaded
  const root = new protobuf.Root()
  root.resolvePath = (_origin, target) => protoFolder + target
  loaded = root.loadSync(files, { keepCase: true })
  return loaded
}

/** A message that was encoded for OAP, in words: what is 0 or empty is left out. */
export function readAccessLog(message: Uint8Array): Record<string, unknown> {
  return inWords('EBPFAccessLogMessage', message)
}

/** The same of what registers an instance and of what describes it. */
export function readAnnouncement(
  type: 'InstancePingPkg' | 'InstanceProperties',
  message: Uint8Array,
): Record<string, unknown> {
  return inWords(type, message)
}

function inWords(name: string, message: Uint8Array): Record<string, unknown> {
  const type = oapProtocol().lookupType(`skywalking.v3.${name}`)
  return type.toObject(type.decode(message), { longs: Number, enums: String })
}
