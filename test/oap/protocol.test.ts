import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import protobuf from 'protobufjs'
import { afterAll, describe, expect, it } from 'vitest'
import { oapProtocol } from '../../packages/aggregator/src/export/oap/oap-protocol.ts'
import { oapJars, oapVersion } from './oap-jars.ts'

const jars = oapJars()
const folders: string[] = []

/** Upstream's messages, which lie in the jar of the network protocol. */
function upstream(): protobuf.Root {
  const folder = mkdtempSync(join(tmpdir(), 'skybraid-oap-proto-'))
  folders.push(folder)
  execFileSync('python3', ['-m', 'zipfile', '-e', `${jars}/apm-network-${oapVersion}.jar`, folder])
  const root = new protobuf.Root()
  root.resolvePath = (_origin, target) => join(folder, target)
  return root.loadSync(['ebpf/accesslog.proto', 'management/Management.proto'], { keepCase: true })
}

type Described = Readonly<Record<string, unknown>>

function describeType(type: protobuf.ReflectionObject): Described {
  if (type instanceof protobuf.Enum) return type.values
  if (type instanceof protobuf.Type)
    return Object.fromEntries(
      type.fieldsArray.map(({ name, id, type: of, repeated, partOf }) => [
        name,
        { id, type: of.split('.').at(-1), repeated, oneof: partOf?.name },
      ]),
    )
  if (type instanceof protobuf.Service)
    return Object.fromEntries(
      type.methodsArray.map(m => [
        m.name,
        [m.requestType, m.requestStream === true, m.responseType, m.responseStream === true],
      ]),
    )
  return {}
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

describe.skipIf(jars === undefined)('proto/skywalking (skipped without the jars of OAP)', () => {
  it('says of every message, field, enum and call what upstream says', () => {
    const theirs = upstream()
    const ours = oapProtocol().lookup('skywalking.v3') as protobuf.Namespace
    expect(ours.nestedArray.length).toBeGreaterThan(25)
    for (const own of ours.nestedArray) {
      const their = theirs.lookup(`skywalking.v3.${own.name}`)
      expect(their, own.name).not.toBeNull()
      const whole = describeType(their!)
      const part = describeType(own)
      // fields that are never sent may be left out, values of an enum and calls may not get another meaning
      for (const [name, value] of Object.entries(part))
        expect(value, `${own.name}.${name}`).toEqual(whole[name])
    }
  })
})
