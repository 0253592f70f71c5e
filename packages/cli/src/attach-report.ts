import { printable } from './printable.ts'

export interface AttachedHook {
  readonly hook: string
  readonly attached: boolean
  readonly reason: string
  readonly consequence: string
}

export interface NodeHooks {
  readonly node: string
  readonly hooks: readonly AttachedHook[]
}

/** What each node attached, and for what it could not: why, and what is not observed without it. */
export function attachReport(nodes: readonly NodeHooks[]): string[] {
  return nodes.flatMap(({ node, hooks }) => {
    const attached = hooks.filter(hook => hook.attached)
    const names = attached.map(hook => printable(hook.hook)).join(', ')
    const lines = [
      `node ${printable(node)}: ${attached.length} of ${hooks.length} hooks attached: ${names || 'none'}`,
    ]
    for (const { hook, reason, consequence } of hooks.filter(h => !h.attached)) {
      lines.push(`  not attached: ${printable(hook)}, ${printable(reason)}; ${printable(consequence)}`)
    }
    return lines
  })
}
