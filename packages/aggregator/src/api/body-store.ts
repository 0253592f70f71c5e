import { LRUCache } from 'lru-cache'

/** A body that may be on its way to several clients; whoever sends it releases it once it is out. */
export interface Body {
  readonly bytes: Buffer
  release(): void
}

/**
 * Bodies of answers, bounded by size. The memory of a large one that nobody needs any more is handed to the next large
 * one: for tens of megabytes fresh memory costs as much as filling it.
 */
export interface BodyStore {
  /** The body kept under this name, or what `build` makes, given memory that it may write over. */
  get(name: string, build: (reuse: Uint8Array<ArrayBuffer> | undefined) => Buffer<ArrayBuffer>): Body
}

interface Kept {
  readonly bytes: Buffer<ArrayBuffer>
  users: number
  evicted: boolean
}

const largeBytes = 1024 * 1024
const mostSpare = 2

export function createBodyStore(maxBytes = 64 * 1024 * 1024): BodyStore {
  const spare: Uint8Array<ArrayBuffer>[] = []
  const bodies = new LRUCache<string, Kept>({
    max: 256,
    maxSize: maxBytes,
    sizeCalculation: ({ bytes }) => bytes.length + 1,
    dispose: kept => {
      kept.evicted = true
      recycle(kept)
    },
  })

  function recycle({ bytes, users, evicted }: Kept): void {
    if (!evicted || users > 0 || bytes.length < largeBytes || spare.length >= mostSpare) return
    spare.push(new Uint8Array(bytes.buffer))
  }

  return {
    get(name, build) {
      let kept = bodies.get(name)
      if (kept === undefined) {
        kept = { bytes: build(spare.pop()), users: 0, evicted: false }
        // one that is too large to keep is not kept, and is free as soon as it is out
        kept.evicted = kept.bytes.length + 1 > maxBytes
        bodies.set(name, kept)
      }
      const body = kept
      body.users++
      let isReleased = false
      return {
        bytes: body.bytes,
        release() {
          if (isReleased) return
          isReleased = true
          body.users--
          recycle(body)
        },
      }
    },
  }
}
