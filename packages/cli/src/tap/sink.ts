import type { DataOutput } from '../console.ts'

/** Where the records go. Waits for a reader that is slow; `closed` ends the waiting. */
export interface Sink {
  write(data: string | Uint8Array): Promise<void>
}

export function createSink(output: DataOutput, closed: Promise<unknown>): Sink {
  return {
    async write(data) {
      if (data.length === 0 || output.write(data) !== false) return
      const drained = new Promise<void>(resolve => {
        if (output.once === undefined) resolve()
        else output.once('drain', resolve)
      })
      await Promise.race([drained, closed])
    },
  }
}
