import { existsSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { filesMatching, readSource, root } from './tree.ts'

const documents = filesMatching([
  '*.md',
  'docs/**/*.md',
  'bpf/**/*.md',
  'native/**/*.md',
  'packages/**/*.md',
  'test/**/*.md',
  'proto/**/*.md',
])

/** The anchor a heading gets where the documents are read. */
function anchor(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '')
}

function anchorsOf(path: string): string[] {
  const text = readSource(path).replace(/^```[\s\S]*?^```/gm, '')
  return [...text.matchAll(/^#{1,6}\s+(.+)$/gm)].map(([, heading]) => anchor(heading!.replaceAll('`', '')))
}

/** Why a link of a document leads nowhere; undefined if it is fine. Links to the outside are not followed. */
function broken(path: string, link: string): string | undefined {
  if (/^(https?|mailto):/.test(link)) return undefined
  const [file = '', fragment] = link.split('#')
  const target = file === '' ? path : posix.normalize(posix.join(posix.dirname(path), file))
  if (!existsSync(root + target)) return `${path}: ${link} is missing`
  if (fragment === undefined || !target.endsWith('.md')) return undefined
  return anchorsOf(target).includes(fragment) ? undefined : `${path}: ${link} has no such heading`
}

describe('documents', () => {
  it('link only to what exists', () => {
    expect(documents).toContain('README.md')
    const links = documents.flatMap(path =>
      [...withoutCode(readSource(path)).matchAll(/\]\(\s*([^)\s]+)[^)]*\)/g)].map(([, link]) =>
        broken(path, link!),
      ),
    )
    expect(links.filter(problem => problem !== undefined)).toEqual([])
  })
})

describe('lock file', () => {
  it('names no host: packages come from whatever registry the machine is set up for', () => {
    const lines = readSource('pnpm-lock.yaml').split('\n')
    expect(lines.length).toBeGreaterThan(100)
    expect(lines.filter(line => /:\/\/|\btarball:|\bregistry\b/.test(line))).toEqual([])
  })
})
