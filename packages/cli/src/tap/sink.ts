import type { DataOutput } from '../console.ts'

/** Where the records go. Waits for a reader that is slow, until told to end. */
export interface Sink {
  write(data: string | Uint8Array): Promise<void>
}

export function createSink(output: DataOutput, stop: AbortSignal): Sink {
  let goOn: () => void = () => undefined
  stop.addEventListener('abort', () => goOn())
  return {
    async write(data) {
      if (data.length === 0 || output.destroyed === true || output.write(data) !== false) return
      if (output.once === undefined || stop.aborted) return
      await new Promise<void>(resolve => {
        goOn = resolve
        output.once?.('drain', resolve)
      })
    },
  }
}
