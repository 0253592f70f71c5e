import { createFlowColumns } from '@skybraid/shared'
import { ExitCode } from '../exit-code.ts'
import { flowRows } from '../flow-lines/flow-row.ts'
import { createLineFormat, type FormatName } from '../flow-lines/line-format.ts'
import { loadOptions } from '../load-options.ts'
import { complain, print, type Surroundings } from '../surroundings.ts'
import { payloadLimitBytes, readFlowPayload } from '../tap/flow-message-reader.ts'
import { outputOptions, paintFor } from '../tap/output-options.ts'

const command = {
  verb: 'decode',
  about: `skybraid decode prints the batch of flow records that it reads from standard input.

Every batch on the bus, readable:
  nats sub 'skybraid.v1.*.flow.>' --translate 'skybraid decode'`,
  options: outputOptions,
}

/** Prints the one batch on standard input: raw protobuf, or a zstd frame of it. */
export async function runDecode(args: readonly string[], around: Surroundings): Promise<number> {
  // its options have no environment variables: those of other commands are none of its business
  const loaded = await loadOptions(command, args, { ...around, env: {} })
  if (!('config' in loaded)) return loaded.exitCode
  const { output, color } = loaded.config
  const payload = await readStdin(around)
  const columns = createFlowColumns()
  const problem = readFlowPayload(payload, columns)
  if (problem !== undefined) {
    return complain(around, ExitCode.failed, [`Standard input holds no batch that can be read: ${problem}.`])
  }
  const format = createLineFormat(output as FormatName, paintFor(around.stdout, around.env, color))
  const { header } = columns
  const text = format.head() + format.batch(header) + format.rows(flowRows(columns)) + format.tail()
  return print(around.stdout, text)
}

/** All of it, or so much that it is too large. */
async function readStdin({ stdin }: Surroundings): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of stdin ?? []) {
    chunks.push(chunk)
    length += chunk.length
    if (length > payloadLimitBytes) break
  }
  return Buffer.concat(chunks)
}
