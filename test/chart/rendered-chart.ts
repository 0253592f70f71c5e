import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

const root = fileURLToPath(new URL('../../', import.meta.url))
export const chart = join(root, 'helm/skybraid')
export const valuesFiles = readdirSync(join(chart, 'ci')).filter(name => name.endsWith('-values.yaml'))
export const helm = built(/^helm-v3\.[\d.]+$/)

/** A program that bootstrap built; a unit test does not build one. */
export function built(pattern: RegExp): string | undefined {
  const folder = join(root, '.cache/bin')
  const name = existsSync(folder) ? readdirSync(folder).find(file => pattern.test(file)) : undefined
  return name === undefined ? undefined : join(folder, name)
}

export interface Manifest {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly annotations?: Record<string, string>
  }
  // biome-ignore lint/suspicious/noExplicitAny: manifests of every kind
  readonly [key: string]: any
}

export function runHelm(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(helm!, args, { encoding: 'utf8' })
  return { status, output: stdout + stderr, stdout }
}

/** Everything that helm makes of one of the examples in `ci`. */
export function rendered(values: string, ...more: string[]): Manifest[] {
  const file = join(chart, 'ci', values)
  const args = ['template', 'shop', chart, '-n', 'skybraid', '--kube-version', '1.30.0', '-f', file, ...more]
  const text = execFileSync(helm!, args, { encoding: 'utf8', stdio: 'pipe' })
  return parseAllDocuments(text)
    .map(document => document.toJS() as Manifest | null)
    .filter(manifest => manifest !== null)
}

export function named(all: readonly Manifest[], kind: string, name: string): Manifest {
  const found = all.find(m => m.kind === kind && m.metadata.name === name)
  if (found === undefined) throw new Error(`no ${kind} ${name}`)
  return found
}

export function podSpecs(all: readonly Manifest[]) {
  return all.flatMap(m => {
    if (m.kind === 'Pod') return [{ name: m.metadata.name, spec: m.spec }]
    return ['Deployment', 'StatefulSet', 'DaemonSet'].includes(m.kind)
      ? [{ name: m.metadata.name, spec: m.spec.template.spec }]
      : []
  })
}
