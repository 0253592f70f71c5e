import { describe, expect, it } from 'vitest'
import { brokenOnes } from '../scenario.ts'
import { scenarios } from '../scenarios.ts'

// npm run test:fault runs all of them, longer
describe('faults of the bus, the short set', () => {
  for (const scenario of scenarios.filter(({ isShort }) => isShort)) {
    const obstacle = scenario.obstacle?.()
    it.skipIf(obstacle !== undefined)(
      `${scenario.name}${obstacle === undefined ? '' : ` (${obstacle})`}`,
      { timeout: 900_000 },
      async () => {
        expect(brokenOnes(await scenario.run('short'))).toBe('')
      },
    )
  }
})
