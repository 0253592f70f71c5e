import type { BatchHeader } from '@skybraid/shared'
import { type BootLimits, BootLog } from './boot-log.ts'
import type { BootOrdinals } from './boot-ordinals.ts'
import { ClockOffset } from './clock-offset.ts'
import type { NodeState } from './ingest-state.ts'

/** As many as a round's state may have. */
const maxBoots = 16

/** What is known of one collector: its current boot, a few earlier ones, its clock. */
export class NodeLog {
  readonly name: string
  /** Number in the entity source. */
  readonly index: number
  readonly clock = new ClockOffset()
  lastSeenMs = 0
  uncleanRestart = false
  #boots: BootLog[] = []
  readonly #ordinals: BootOrdinals
  readonly #limits: BootLimits

  constructor(name: string, index: number, ordinals: BootOrdinals, limits: BootLimits) {
    this.name = name
    this.index = index
    this.#ordinals = ordinals
    this.#limits = limits
  }

  static restored(state: NodeState, index: number, ordinals: BootOrdinals, limits: BootLimits): NodeLog {
    const node = new NodeLog(state.name, index, ordinals, limits)
    node.lastSeenMs = state.lastSeenMs
    node.uncleanRestart = state.uncleanRestart
    const oldestFirst = state.boots.slice(0, maxBoots).reverse()
    node.#boots = oldestFirst
      .map(boot => BootLog.restored(boot, ordinals.of(index, boot.bootId, true), limits))
      .reverse()
    return node
  }

  state(): NodeState {
    const { name, lastSeenMs, uncleanRestart } = this
    return { name, lastSeenMs, uncleanRestart, boots: this.#boots.map(boot => boot.state()) }
  }

  /** The newest boot; undefined before the first batch. */
  get current(): BootLog | undefined {
    return this.#boots[0]
  }

  get boots(): readonly BootLog[] {
    return this.#boots
  }

  /**
   * The log of a batch's boot. A boot not heard of before is the new current one if it was sent after the current
   * one's first batch; otherwise it is an old one whose batches come late. `undefined` if it is older than all that are
   * remembered: it may be one that was forgotten, and what came of it then is not known.
   */
  bootOf(header: BatchHeader): BootLog | undefined {
    const { bootId, sentUnixMs } = header
    const known = this.#boots.find(boot => boot.bootId === bootId)
    if (known !== undefined) return known
    const current = this.#boots[0]
    const isNewest = current === undefined || sentUnixMs >= current.firstSentMs
    if (this.#boots.length >= maxBoots && this.#boots.every(boot => sentUnixMs < boot.firstSentMs))
      return undefined
    const ordinal = this.#ordinals.of(this.index, bootId, isNewest)
    const boot = new BootLog(bootId, sentUnixMs, ordinal, this.#limits)
    if (isNewest) {
      if (current !== undefined) this.uncleanRestart = !current.endedCleanly
      this.#boots = [boot, ...this.#boots].slice(0, maxBoots)
    } else this.#boots = [...this.#boots.slice(0, maxBoots - 1), boot]
    return boot
  }
}

/** A node's name as it stands in a subject. */
export function tokenOf(node: string): string {
  return node.replaceAll('.', '_')
}
