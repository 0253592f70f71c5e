import { expect, it } from 'vitest'
import { createEndpointPaths, otherPath } from './endpoint-paths.ts'

const minuteMs = 60_000

it('are 500 of a service at a time: further ones are told as one, and take the room of those not seen for an hour', () => {
  const paths = createEndpointPaths()
  const fit = (i: number, atMs: number, service = 'web.shop') =>
    paths.fit(service, 'GET', `/items/${i}`, atMs)
  const fitted = Array.from({ length: 502 }, (_, i) => fit(i, 0))
  expect(fitted.slice(0, 500)).toEqual(Array.from({ length: 500 }, (_, i) => `/items/${i}`))
  expect(fitted.slice(500)).toEqual([otherPath, otherPath])
  // the method sets endpoints apart, and every service has its own
  expect(paths.fit('web.shop', 'PUT', '/items/0', 0)).toBe(otherPath)
  expect(fit(501, 0, 'api.shop')).toBe('/items/501')
  expect(fit(0, 59 * minuteMs)).toBe('/items/0')
  expect(fit(501, 61 * minuteMs)).toBe('/items/501')
  expect(fit(0, 61 * minuteMs)).toBe('/items/0')
})
