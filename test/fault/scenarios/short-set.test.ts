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
        const findings = await scenario.run('short')
        for (const { what, seen } of findings) if (what.endsWith(' s')) console.info(`${what}: ${seen}`)
        expect(brokenOnes(findings)).toBe('')
      },
    )
  }
})
