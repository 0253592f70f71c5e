import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { createSink } from './sink.ts'

function slowOutput() {
  const written: string[] = []
  const output = Object.assign(new EventEmitter(), {
    written,
    destroyed: false,
    write(data: string) {
      written.push(data)
      return false
    },
  })
  return output
}

describe('createSink', () => {
  it('waits until the reader wants more', async () => {
    const output = slowOutput()
    let isDone = false
    const writing = createSink(output, new AbortController().signal)
      .write('a')
      .then(() => {
        isDone = true
      })
    await Promise.resolve()
    expect([output.written, isDone]).toEqual([['a'], false])
    output.emit('drain')
    await writing
  })

  it('waits no longer once it is told to end, and writes on', async () => {
    const output = slowOutput()
    const stop = new AbortController()
    const sink = createSink(output, stop.signal)
    const writing = sink.write('a')
    stop.abort()
    await writing
    await sink.write('b')
    expect(output.written).toEqual(['a', 'b'])
    expect(output.listenerCount('drain')).toBe(1)
  })

  it('writes nothing to a reader that has gone, nor nothing at all', async () => {
    const output = slowOutput()
    const sink = createSink(output, new AbortController().signal)
    await sink.write('')
    output.destroyed = true
    await sink.write('a')
    expect(output.written).toEqual([])
  })
})
