import type { Labels } from './kube-object.ts'

interface Requirement {
  readonly key: string
  /** `in` and `notIn` with values; `exists` and `notExists` without. */
  readonly operator: 'in' | 'notIn' | 'exists' | 'notExists'
  readonly values: readonly string[]
}

/** What labels must be like; every requirement has to hold. */
export type LabelSelector = readonly Requirement[]

const name = '[A-Za-z0-9](?:[-A-Za-z0-9_./]{0,315}[A-Za-z0-9])?'
const value = '(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?'
const equality = new RegExp(`^(${name})\\s*(=|==|!=)\\s*(${value})$`)
const set = new RegExp(`^(${name})\\s+(in|notin)\\s+\\(\\s*(${value}(?:\\s*,\\s*${value})*)\\s*\\)$`)
const existence = new RegExp(`^(!?)\\s*(${name})$`)

/** Reads a selector as `kubectl -l` does; undefined if it is none. */
export function labelSelector(text: string): LabelSelector | undefined {
  const requirements: Requirement[] = []
  for (const part of text.split(/,(?![^(]*\))/)) {
    const requirement = requirementOf(part.trim())
    if (!requirement) return undefined
    requirements.push(requirement)
  }
  return requirements
}

function requirementOf(text: string): Requirement | undefined {
  const equal = equality.exec(text)
  if (equal) return { key: equal[1], operator: equal[2] === '!=' ? 'notIn' : 'in', values: [equal[3]] }
  const among = set.exec(text)
  if (among) {
    const values = among[3].split(',').map(v => v.trim())
    return { key: among[1], operator: among[2] === 'in' ? 'in' : 'notIn', values }
  }
  const exists = existence.exec(text)
  if (!exists) return undefined
  return { key: exists[2], operator: exists[1] === '!' ? 'notExists' : 'exists', values: [] }
}

/** The selector as text that reads back the same. */
export function selectorText(selector: LabelSelector): string {
  return selector.map(requirementText).join(',')
}

function requirementText({ key, operator, values }: Requirement): string {
  if (operator === 'exists') return key
  if (operator === 'notExists') return `!${key}`
  return `${key} ${operator === 'in' ? 'in' : 'notin'} (${values.join(',')})`
}

/** As Kubernetes has it, `!=` and `notin` also hold where the label is missing. */
export function matchesLabels(selector: LabelSelector, labels: Labels): boolean {
  return selector.every(({ key, operator, values }) => {
    const found = labelOf(labels, key)
    if (operator === 'exists') return found !== undefined
    if (operator === 'notExists') return found === undefined
    const isAmong = found !== undefined && values.includes(found)
    return operator === 'in' ? isAmong : !isAmong
  })
}

function labelOf(labels: Labels, key: string): string | undefined {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === key) return labels[i + 1]
  return undefined
}
