import { edgeSuffix, type Fold, protocolName } from './fold.ts'
import { asciiJson, type JsonText } from './json-text.ts'

/** How every edge of a fold begins: what never changes of it, from its id to the dialled address, as JSON bytes. */
export interface EdgeHeads {
  /** Writes `{"id":…,"port":…` and, where there is one, `"via":…`. */
  write(out: JsonText, slot: number): void
  /** The edge's id as a JSON string. */
  idText(slot: number): string
}

/** Heads are made once per fold: whoever asks again gets them as they are, with what came since. */
export function createEdgeHeads(): (fold: Fold) => EdgeHeads {
  const headsOf = new WeakMap<Fold, EdgeHeads & { extend(): void }>()
  return fold => {
    let heads = headsOf.get(fold)
    if (!heads) {
      heads = createHeads(fold)
      headsOf.set(fold, heads)
    }
    heads.extend()
    return heads
  }
}

function createHeads(fold: Fold) {
  // 8 bytes more than needed, because copying goes by whole words
  let bytes = new Uint8Array(1 << 16)
  let view = new DataView(bytes.buffer)
  let starts = new Uint32Array(256)
  let known = 1
  const groupIds: string[] = []

  function groupId(group: number): string {
    groupIds[group] ??= asciiJson(JSON.stringify(fold.groups[group].id).slice(1, -1))
    return groupIds[group]
  }

  function idInside(slot: number): string {
    const { source, target, protocol, port, via, vias } = fold
    const suffix = asciiJson(
      JSON.stringify(edgeSuffix(protocol[slot], port[slot], vias[via[slot]])).slice(1, -1),
    )
    return `${groupId(source[slot])}->${groupId(target[slot])}#${suffix}`
  }

  function headOf(slot: number): string {
    const { source, target, protocol, port, via, vias } = fold
    const viaText = via[slot] === 0 ? '' : `,"via":${asciiJson(JSON.stringify(vias[via[slot]]))}`
    const ends = `"source":"${groupId(source[slot])}","target":"${groupId(target[slot])}"`
    return `{"id":"${idInside(slot)}",${ends},"protocol":"${protocolName(protocol[slot])}","port":${port[slot]}${viaText}`
  }

  function add(slot: number): void {
    const text = headOf(slot)
    if (slot + 2 > starts.length) {
      const larger = new Uint32Array(starts.length * 2)
      larger.set(starts)
      starts = larger
    }
    const at = starts[slot]
    if (at + text.length + 8 > bytes.length) {
      const larger = new Uint8Array(Math.max(bytes.length * 2, at + text.length + 8))
      larger.set(bytes)
      bytes = larger
      view = new DataView(bytes.buffer)
    }
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i)
    starts[slot + 1] = at + text.length
  }

  return {
    extend() {
      for (; known < fold.slots; known++) add(known)
    },
    write(out: JsonText, slot: number) {
      const from = starts[slot]
      const to = starts[slot + 1]
      out.reserve(to - from)
      out.part(view, from, to)
    },
    idText: (slot: number) => `"${idInside(slot)}"`,
  }
}
