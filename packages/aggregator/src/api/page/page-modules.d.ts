/** The page is plain JavaScript that browsers load as it is; these are the types its tests need. */

declare module '*/layout.js' {
  interface Placed {
    readonly width: number
    readonly height: number
    readonly positions: Map<string, { x: number; y: number }>
    readonly paths: Map<string, [number, number][]>
  }
  export const box: { readonly width: number; readonly height: number }
  export function layeredLayout(
    nodes: readonly { id: string }[],
    edges: readonly { id: string; source: string; target: string; bytes: number }[],
    maxWidth: number,
  ): Placed
}

declare module '*/picture.js' {
  interface Edge {
    readonly id: string
  }
  interface Shown {
    readonly nodes: Map<string, object>
    readonly edges: Map<string, Edge>
  }
  export function filterEdges(topology: Shown, filter: string): Edge[]
  export function choosePicture(
    topology: Shown,
    edges: readonly Edge[],
    keepEdge: string,
  ): { nodes: object[]; bundles: { edges: Edge[] }[]; hiddenNodes: number; hiddenEdges: number }
}

declare module '*/url-state.js' {
  type State = Record<'groupBy' | 'window' | 'filter' | 'focus' | 'depth' | 'edge' | 'sort', string>
  export function readState(search: string): State
  export function writeState(state: State): string
  export function questionOf(state: State): string
}

declare module '*/figures.js' {
  export function bytesText(bytes: number | undefined): string
  export function microsText(us: number | undefined): string
  export function lossText(direction: object | undefined): string
}

declare module '*/live.js' {
  interface Items {
    nodes: Map<string, { id: string }>
    edges: Map<string, { id: string }>
    head: unknown
  }
  export function takeSnapshot(topology: Items, snapshot: unknown): void
  export function applyList(items: Map<string, { id: string }>, change: unknown): void
}

declare module '*/event-stream.js' {
  interface StreamEvent {
    readonly type: string
    readonly data: string
    readonly id: string | undefined
  }
  export function createEventParser(onEvent: (event: StreamEvent) => void): (text: string) => void
}
