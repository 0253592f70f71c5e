import { describe, expect, it } from 'vitest'
import { brokenOnes } from './scenario.ts'
import { collectorKilled } from './scenarios/collector-killed.ts'

const obstacle = collectorKilled.obstacle?.()

describe.skipIf(obstacle !== undefined)('skybraid collector on the kernel', () => {
  it('leaves nothing behind when it is killed, and is back at once', async () => {
    expect(brokenOnes(await collectorKilled.run('short'))).toBe('')
  })
})
