import type { BatchHeader } from '@skybraid/shared'
import { BootLog } from './boot-log.ts'
import { ClockOffset } from './clock-offset.ts'
import type { SequenceLimits } from './sequence-log.ts'

const maxBoots = 4

/** What is known of one collector: its current boot, a few earlier ones, its clock. */
export class NodeLog {
  readonly name: string
  /** Number in the entity source. */
  readonly index: number
  readonly clock = new ClockOffset()
  lastSeenMs = 0
  uncleanRestart = false
  #boots: BootLog[] = []
  #ordinal = 0
  readonly #limits: SequenceLimits & { readonly maxPartitions: number }

  constructor(name: string, index: number, limits: SequenceLimits & { readonly maxPartitions: number }) {
    this.name = name
    this.index = index
    this.#limits = limits
  }

  /** The newest boot; undefined before the first batch. */
  get current(): BootLog | undefined {
    return this.#boots[0]
  }

  /**
   * The log of a batch's boot. A boot not heard of before is the new current one if it was sent after the current
   * one's first batch; otherwise it is an old one whose batches come late.
   */
  bootOf(header: BatchHeader): BootLog {
    const known = this.#boots.find(boot => boot.bootId === header.bootId)
    if (known !== undefined) return known
    const current = this.#boots[0]
    if (current === undefined || header.sentUnixMs >= current.firstSentMs) {
      if (current !== undefined) this.uncleanRestart = !current.endedCleanly
      const boot = new BootLog(header, ++this.#ordinal & 0xff, this.#limits)
      this.#boots = [boot, ...this.#boots].slice(0, maxBoots)
      return boot
    }
    const oldest = this.#boots[this.#boots.length - 1].ordinal
    const boot = new BootLog(header, (oldest - 1) & 0xff, this.#limits)
    this.#boots = [...this.#boots.slice(0, maxBoots - 1), boot]
    return boot
  }
}
