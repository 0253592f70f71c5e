import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml'

export interface ValueEntry {
  readonly path: readonly string[]
  readonly value: unknown
  /** The comment above it that begins with `--`. */
  readonly description: string | undefined
}

/** Every value of a values.yaml, groups before what is in them. */
export function readValues(text: string): ValueEntry[] {
  const { contents } = parseDocument(text)
  return isMap(contents) ? entriesOf(contents, []) : []
}

function entriesOf(map: YAMLMap, above: readonly string[]): ValueEntry[] {
  return map.items.flatMap((pair, index) => {
    if (!isScalar(pair.key)) return []
    const path = [...above, String(pair.key.value)]
    // the parser keeps the comment of a map's first key with the map
    const comment = (index === 0 ? map.commentBefore : undefined) ?? pair.key.commentBefore
    const description = /^ -- (.*)$/m.exec(comment ?? '')?.[1]
    const value =
      isMap(pair.value) || isScalar(pair.value) ? pair.value.toJSON() : JSON.parse(JSON.stringify(pair.value))
    const inside = isMap(pair.value) ? entriesOf(pair.value, path) : []
    return [{ path, value, description }, ...inside]
  })
}
