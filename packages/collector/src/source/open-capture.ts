import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type {
  Capture,
  CaptureCounters,
  CaptureOptions,
  HookReport,
  ProtocolCounters,
} from '../../../../native/index.d.ts'

export type { Capture, CaptureCounters, CaptureOptions, HookReport, ProtocolCounters }

interface Addon {
  open(options: CaptureOptions, onFlush: (flush: ArrayBuffer) => void): Capture
  releaseStartupCode(): number
  dropCapabilities(): string
}

export interface OpenCaptureOptions extends Omit<CaptureOptions, 'objectDir'> {
  /** Folder with the compiled bpf objects; bpf/build of this installation unless told. */
  readonly objectDir?: string
  /** Called once per flush, on the thread that opened the capture. */
  readonly onFlush: (flush: ArrayBuffer) => void
}

const addonPath = join('native', 'build', 'skybraid.node')
const objectPath = join('bpf', 'build')

/**
 * Loads the addon, attaches to the kernel and starts to deliver flushes.
 * Throws an Error of one plain sentence if the addon or the kernel programs are not built, if an option is out of
 * range, or if nothing can be attached.
 */
export function openCapture(options: OpenCaptureOptions): Capture {
  checkRanges(options)
  const { onFlush, objectDir = findUpwards(objectPath), ...rest } = options
  if (objectDir === undefined || !existsSync(objectDir))
    throw new Error(
      `The kernel programs are not built: there is no ${objectDir ?? objectPath}. Run "npm run build".`,
    )
  return loadAddon().open({ ...rest, objectDir }, onFlush)
}

/** Gives back the memory of code that only the start needed, some 10 MB of it; see native/index.d.ts. */
export function releaseStartupCode(): void {
  loadAddon().releaseStartupCode()
}

/**
 * Gives up every capability of this process for good, in all threads; what is attached goes on. Answers why that was
 * not possible; undefined if it was. Before kernel 5.19 CAP_BPF stays, which those need to read maps.
 */
export function dropCapabilities(): string | undefined {
  return loadAddon().dropCapabilities() || undefined
}

function loadAddon(): Addon {
  const path = findUpwards(addonPath)
  if (path === undefined)
    throw new Error(`The capture addon is not built: there is no ${addonPath}. Run "npm run build".`)
  try {
    return createRequire(import.meta.url)(path) as Addon
  } catch (cause) {
    throw new Error(`The capture addon ${path} could not be loaded: ${reasonOf(cause)}.`, { cause })
  }
}

/** dlopen names the missing library or symbol before the first line break; the rest is a stack. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause)
  const line = message.split('\n')[0]!
  return /libbpf|libelf|libz/.test(line) ? `${line} (install libbpf, libelf and zlib)` : line
}

/** The nearest `relative` in a folder above this file, so that sources, dist and an installed tree all work. */
function findUpwards(relative: string): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const candidate = join(folder, relative)
    if (existsSync(candidate)) return candidate
    const parent = dirname(folder)
    if (parent === folder) return undefined
    folder = parent
  }
}

/** Every range that the addon relies on, with its unit; the addon refuses the same ones with less kind words. */
const ranges = {
  flushMs: [10, 60_000, 'milliseconds'],
  partitions: [1, 256, ''],
  ringBytes: [4096, 1 << 28, 'bytes'],
  maxFlows: [1, 1 << 24, 'flows'],
  l7: [0, 2 ** 31, ''],
  reportMs: [10, 3_600_000, 'milliseconds'],
  announceMs: [1000, 3_600_000, 'milliseconds'],
} as const

function checkRanges(options: OpenCaptureOptions): void {
  for (const [name, [min, max, unit]] of Object.entries(ranges)) {
    const value = options[name as keyof typeof ranges] ?? 0
    if (!Number.isInteger(value) || value < min || value > max)
      throw new Error(
        `The capture option ${name} is ${value}: it must be a whole number from ${min} to ${max}${unit && ` ${unit}`}.`,
      )
  }
  if (60_000 % options.flushMs !== 0)
    throw new Error(
      `The capture option flushMs is ${options.flushMs}: a minute must be a whole number of flushes, for example 500.`,
    )
  if ((options.ringBytes & (options.ringBytes - 1)) !== 0)
    throw new Error(`The capture option ringBytes is ${options.ringBytes}: it must be a power of two.`)
}
