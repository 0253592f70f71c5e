/**
 * Names on the bus. `cluster` holds letters, digits, '_' and '-'; a node's dots become '_' because a dot separates
 * tokens of a subject.
 */
const root = 'skybraid.v1'

/** Where one node publishes the batches of one partition. */
export function flowSubject(cluster: string, partition: number, node: string): string {
  return `${root}.${cluster}.flow.${partition}.${nodeToken(node)}`
}

/** Every node's batches of one partition. */
export function flowPartitionFilter(cluster: string, partition: number): string {
  return `${root}.${cluster}.flow.${partition}.*`
}

/** Every batch of a cluster. */
export function flowFilter(cluster: string): string {
  return `${root}.${cluster}.flow.>`
}

/** Where the owner of a partition appends the minutes it closed. */
export function rollupSubject(cluster: string, partition: number): string {
  return `${root}.${cluster}.rollup.${partition}`
}

/** The partition of a rollup subject of a cluster; undefined if it is none. */
export function parseRollupSubject(cluster: string, subject: string): number | undefined {
  const start = `${root}.${cluster}.rollup.`
  const rest = subject.slice(start.length)
  return subject.startsWith(start) && /^(0|[1-9]\d{0,4})$/.test(rest) ? Number(rest) : undefined
}

export function rollupFilter(cluster: string): string {
  return `${root}.${cluster}.rollup.>`
}

export function flowStream(cluster: string): string {
  return `SKYBRAID_FLOW_${cluster}`
}

export function rollupStream(cluster: string): string {
  return `SKYBRAID_ROLLUP_${cluster}`
}

/** The bucket in which aggregators note how far they exported. */
export function exportBucket(cluster: string): string {
  return `SKYBRAID_EXPORT_${cluster}`
}

/** The bucket that says how records are split into partitions, under `layoutKey`. */
export function layoutBucket(cluster: string): string {
  return `SKYBRAID_LAYOUT_${cluster}`
}

export const layoutKey = 'layout'

/** A node's name as it stands in a subject. */
export function nodeToken(node: string): string {
  return node.replaceAll('.', '_')
}

export interface FlowSubject {
  readonly cluster: string
  readonly partition: number
  /** The token, in which dots are '_'. */
  readonly node: string
}

/** The parts of a flow subject; undefined if it is none. */
export function parseFlowSubject(subject: string): FlowSubject | undefined {
  const match = /^skybraid\.v1\.([A-Za-z0-9_-]+)\.flow\.(0|[1-9]\d{0,4})\.([^.*>\s]+)$/.exec(subject)
  if (match === null) return undefined
  return { cluster: match[1], partition: Number(match[2]), node: match[3] }
}
