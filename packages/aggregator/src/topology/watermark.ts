interface NodeProgress {
  boot: string
  heardMs: number
  /** Last minute that each partition of this boot said was complete. */
  readonly completed: Map<number, number>
}

export interface WatermarkOptions {
  /** A node heard within this time is live: a minute waits for it. */
  readonly liveMs?: number
  /** A minute waits at most this long after its end. */
  readonly graceMs?: number
  /** A node silent for longer is not expected any more. */
  readonly forgetMs?: number
  readonly maxNodes?: number
}

/** Decides when a minute can close: when every live node has sent all of it, or some time after its end. */
export interface Watermark {
  heard(node: string, boot: string, partition: number, nowMs: number): void
  minuteComplete(node: string, boot: string, partition: number, minute: number): void
  isComplete(minute: number, nowMs: number): boolean
  /** Collectors known at this time, and those of them that are live. */
  live(nowMs: number): { readonly expected: number; readonly reporting: number }
  /** Collectors known at this time, and those of them that have sent all of a minute. */
  finished(minute: number, nowMs: number): { readonly expected: number; readonly reporting: number }
}

export function createWatermark(options: WatermarkOptions = {}): Watermark {
  const { liveMs = 90_000, graceMs = 30_000, forgetMs = 15 * 60_000, maxNodes = 16_384 } = options
  const nodes = new Map<string, NodeProgress>()

  function progressOf(node: string, boot: string): NodeProgress | undefined {
    const known = nodes.get(node)
    if (known?.boot === boot) return known
    if (!known && nodes.size >= maxNodes) return undefined
    const fresh = {
      boot,
      heardMs: known?.heardMs ?? Number.NEGATIVE_INFINITY,
      completed: new Map<number, number>(),
    }
    nodes.set(node, fresh)
    return fresh
  }

  function forgetSilent(nowMs: number): void {
    for (const [name, node] of nodes) if (nowMs - node.heardMs > forgetMs) nodes.delete(name)
  }

  function hasFinished(node: NodeProgress, minute: number): boolean {
    for (const completed of node.completed.values()) if (completed < minute) return false
    return node.completed.size > 0
  }

  return {
    heard(node, boot, partition, nowMs) {
      const progress = progressOf(node, boot)
      if (!progress) return
      progress.heardMs = Math.max(progress.heardMs, nowMs)
      if (!progress.completed.has(partition)) progress.completed.set(partition, -1)
    },
    minuteComplete(node, boot, partition, minute) {
      const completed = progressOf(node, boot)?.completed
      if (completed) completed.set(partition, Math.max(minute, completed.get(partition) ?? -1))
    },
    isComplete(minute, nowMs) {
      if (nowMs >= (minute + 1) * 60_000 + graceMs) return true
      let live = 0
      for (const node of nodes.values()) {
        if (nowMs - node.heardMs > liveMs) continue
        live++
        if (!hasFinished(node, minute)) return false
      }
      return live > 0
    },
    live(nowMs) {
      forgetSilent(nowMs)
      let reporting = 0
      for (const node of nodes.values()) if (nowMs - node.heardMs <= liveMs) reporting++
      return { expected: nodes.size, reporting }
    },
    finished(minute, nowMs) {
      forgetSilent(nowMs)
      let reporting = 0
      for (const node of nodes.values()) if (hasFinished(node, minute)) reporting++
      return { expected: nodes.size, reporting }
    },
  }
}
