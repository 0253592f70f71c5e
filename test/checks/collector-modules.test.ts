import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { filesMatching, root } from './tree.ts'

const lister = `${root}test/checks/programs/loaded-modules.mjs`

/** What a program of the built command line loads, verb and all that it imports later included. */
function loadedBy(verb: string): string[] {
  const files = ['packages/cli/dist/run.js', ...sourcesOf(verb).map(built)]
  expect(files.length).toBeGreaterThan(1)
  const output = execFileSync(process.execPath, [lister, ...files.map(file => root + file)], {
    encoding: 'utf8',
  })
  return output.trim().split('\n')
}

function sourcesOf(verb: string): string[] {
  const isTest = /\.(test|testing|bench)\.ts$/
  return filesMatching([`packages/cli/src/${verb}/*.ts`]).filter(path => !isTest.test(path))
}

/** packages/cli/dist belongs to the build, which leaves tests out. */
function built(path: string): string {
  return path.replace('/src/', '/dist/').replace(/\.ts$/, '.js')
}

const isHeavy = (url: string) =>
  /node_modules\/(@?fastify|@grpc|@kubernetes|@opentelemetry|typebox|ajv)\b/.test(url) ||
  url.includes('/packages/aggregator/')

describe('the built collector', () => {
  it('loads the bus and no web framework, gRPC, Kubernetes client, telemetry SDK, nor the aggregator', () => {
    const loaded = loadedBy('collector')
    expect(loaded.filter(url => url.includes('@nats-io')).length).toBeGreaterThan(0)
    expect(loaded.some(url => url.endsWith('/packages/collector/dist/collector.js'))).toBe(true)
    expect(loaded.filter(isHeavy)).toEqual([])
  })

  it('is told apart from the whole product by that', () => {
    expect(loadedBy('standalone').filter(isHeavy).length).toBeGreaterThan(100)
  })
})
