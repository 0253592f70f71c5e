import { describe, expect, it } from 'vitest'
import { type OpenCaptureOptions, openCapture } from './open-capture.ts'

const valid: OpenCaptureOptions = {
  objectDir: '/nowhere/bpf',
  cgroupPath: '/sys/fs/cgroup',
  flushMs: 500,
  partitions: 4,
  ringBytes: 1 << 20,
  maxFlows: 1000,
  udp: true,
  taskFiles: true,
  reportMs: 10_000,
  announceMs: 300_000,
  onFlush: () => {},
}

describe('openCapture', () => {
  it.each([
    ['flushMs', 0],
    ['flushMs', 1.5],
    ['partitions', 0],
    ['ringBytes', 1],
    ['maxFlows', Number.NaN],
    ['reportMs', -1],
    ['announceMs', Number.POSITIVE_INFINITY],
  ])('names the option %s when it is %s', (name, value) => {
    expect(() => openCapture({ ...valid, [name]: value })).toThrow(`The capture option ${name} is ${value}`)
  })

  it('wants flushes that add up to a minute', () => {
    expect(() => openCapture({ ...valid, flushMs: 700 })).toThrow(
      'a minute must be a whole number of flushes',
    )
  })

  it('wants a ring of a power of two', () => {
    expect(() => openCapture({ ...valid, ringBytes: 5000 })).toThrow('must be a power of two')
  })

  it('says in one sentence that the kernel programs are not built', () => {
    expect(() => openCapture(valid)).toThrow('there is no /nowhere/bpf. Run "npm run build".')
  })
})
