import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TopologyEdge } from '../../topology/answer.ts'
import { fixtureEdge, fixtureNode } from '../fixture/fixture-reader.testing.ts'
import { type FixtureServer, fixtureServer } from '../fixture/fixture-server.testing.ts'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
)

let browser: Browser
let server: FixtureServer
let page: Page
const complaints: string[] = []

async function open(
  path = '/',
  prepare?: (server: FixtureServer) => void,
  access: { isToken?: (token: string) => boolean } = {},
): Promise<string> {
  server = await fixtureServer({ streamTickMs: 30 }, access)
  prepare?.(server)
  await server.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.app.server.address() as { port: number }
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  page.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(String(error)))
  page.on('dialog', dialog => {
    complaints.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', request => {
    if (!request.url().startsWith(`http://127.0.0.1:${port}/`))
      complaints.push(`left the machine: ${request.url()}`)
  })
  await page.goto(`http://127.0.0.1:${port}${path}`)
  return `http://127.0.0.1:${port}`
}

// a machine without a browser says so by skipping, it doesn't pass
describe.skipIf(executablePath === undefined)('the page, in Chromium', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] })
  }, 60_000)
  afterAll(() => browser.close())
  afterEach(async () => {
    await page.close()
    await server.app.close()
    complaints.length = 0
  })

  const rows = () => page.locator('.edges tbody tr')

  it('shows what was said on an edge, each end apart, and the network’s part of the time', async () => {
    const view = {
      requests: 900,
      errors: 9,
      unknown: 0,
      requestBytes: 1,
      responseBytes: 1,
      statuses: { 200: 891, 500: 9 },
      timeUs: 1,
      firstByteUs: { count: 900, p50: 850, p90: 2_000, p99: 4_100, max: 9_000 },
    }
    const http = { protocols: ['http1'], client: view, server: { ...view, unknown: 3 }, networkUs: 320 }
    await open('/', ({ reader }) => {
      reader.edges = [{ ...fixtureEdge('curl', 'nginx', 10), http }]
    })
    await rows().first().click()
    const table = page.locator('#detail table').first()
    await expect.poll(() => table.textContent()).toContain('Time to first byte p99')
    const text = await table.textContent()
    expect(text).toContain('Requests900900')
    expect(text).toContain('Errors9 (1.0 %)')
    expect(text).toContain('850 µs')
    expect(text).toContain('on average320 µs')
    expect(complaints).toEqual([])
  })

  it('shows long names without sideways scrolling, in full where the pointer rests', async () => {
    const names = [
      'checkout-frontend [nginx.service]@worker-a.example',
      'payments-ledger [cri-containerd]@worker-b',
    ]
    await open('/', ({ reader }) => {
      reader.nodes = [...reader.nodes, ...names.map(name => fixtureNode(name))]
      reader.edges = [...reader.edges, fixtureEdge(names[0], names[1], 80)]
    })
    const cell = page.locator(`.edges td[title="${names[0]}"]`)
    await cell.waitFor()
    const widths = await page.locator('.edges-scroll').evaluate(box => [box.scrollWidth, box.clientWidth])
    expect(widths[0]).toBeLessThanOrEqual(widths[1])
    expect(await cell.evaluate(one => one.scrollWidth > one.clientWidth)).toBe(true)
  })

  it('draws what the API answers, and follows it live', async () => {
    await open()
    await page.locator('.map .node').nth(2).waitFor()
    expect(await page.locator('.map .arrow').count()).toBe(2)
    expect(await rows().count()).toBe(2)
    expect(await page.getByRole('status').first().textContent()).toBe('live')
    expect(await page.locator('#completeness').textContent()).toContain('2 records lost (2 at ring full)')
    server.reader.nodes = [...server.reader.nodes, fixtureNode('postgres')]
    server.reader.edges = [fixtureEdge('curl', 'nginx', 1000), fixtureEdge('nginx', 'postgres', 123_456_789)]
    server.reader.touch()
    await rows().filter({ hasText: 'postgres' }).filter({ hasText: '123 MB' }).waitFor()
    await page.locator('.map .node', { hasText: 'redis' }).waitFor({ state: 'detached' })
    expect(complaints).toEqual([])
  })

  it('shows hostile names as text and nothing else', async () => {
    const evil = [
      '<img src=x onerror=alert(1)>',
      '"><script>alert(2)</script>',
      '\u202etxt.exe\u0007',
      "');alert(3)//",
      '$' + '{alert(4)}',
    ]
    await open('/', ({ reader }) => {
      reader.nodes = evil.map(name => ({ ...fixtureNode(name), parent: `host:${name}` }))
      reader.edges = evil.map((name, i) => ({
        ...fixtureEdge(name, evil[(i + 1) % evil.length]!, 5),
        via: evil[i]!,
        reasons: [evil[i]!],
      }))
    })
    await rows().nth(4).waitFor()
    for (let i = 0; i < evil.length; i++) {
      await rows().nth(i).click()
      await page.locator('#detail h2').waitFor()
    }
    await page.locator('.map .node').first().click()
    expect(await page.locator('img, #detail script, .map script').count()).toBe(0)
    expect(await page.locator('body').textContent()).not.toMatch(/\p{Cf}|[^\P{Cc}\s]/u)
    expect(complaints).toEqual([])
  })

  it('keeps what is shown in the address and comes back to it', async () => {
    const base = await open()
    await rows().first().click()
    await page.locator('#detail').getByText('Client view').waitFor()
    await page.locator('#filter').fill('redis')
    await page.locator('#window').selectOption('1h')
    await rows().nth(1).waitFor({ state: 'detached' })
    const url = page.url()
    expect(new URL(url).searchParams.get('filter')).toBe('redis')
    await page.goto(url)
    await rows().filter({ hasText: 'redis' }).waitFor()
    expect(await rows().count()).toBe(1)
    expect(await page.locator('#window').inputValue()).toBe('1h')
    expect(await page.locator('#detail h2').textContent()).toBe('nginx → redis')
    expect(url.startsWith(base)).toBe(true)
  })

  it('is driven by the keyboard', async () => {
    await open()
    await rows().nth(1).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('curl')
    await rows().nth(1).waitFor({ state: 'detached' })
    await page.keyboard.press('Escape')
    await rows().nth(1).waitFor()
    await page.locator('.map .node', { hasText: 'nginx' }).focus()
    await page.keyboard.press('Enter')
    await page.locator('#detail').getByText('Is dialled by (1)').waitFor()
    await page.keyboard.press('f')
    await page.locator('#focus-bar').getByText('Around').waitFor()
    await expect
      .poll(() => server.reader.queries.at(-1))
      .toMatchObject({ focus: 'process:host-a/nginx', depth: 1 })
    await page.keyboard.press('Escape')
    await page.locator('#focus-bar').waitFor({ state: 'hidden' })
  })

  it('compares both ends of an edge', async () => {
    await open('/', ({ reader }) => {
      const edge = fixtureEdge('curl', 'nginx', 1000)
      const server = { ...edge.tcp!.server!, bytesReceived: 400, dataSegmentsReceived: 9 }
      reader.edges = [{ ...edge, tcp: { ...edge.tcp!, server } }]
    })
    await rows().first().click()
    const bytes = page.locator('.sides tr', { hasText: 'Bytes to the server' })
    await bytes.waitFor()
    expect(await bytes.locator('td').allTextContents()).toEqual(['1.0 kB', '400 B', '+600 B'])
    expect(await page.locator('#detail').textContent()).toContain('1 of 10 segments (10.0 %)')
    expect(await page.locator('#detail').textContent()).toContain('unknown: segments are still on their way')
  })

  it('says honestly that there is nothing, and that contact is lost', async () => {
    await open('/', ({ reader }) => {
      reader.nodes = []
      reader.edges = []
    })
    await page.getByText('nobody talked in the last 5 minutes').waitFor()
    await server.app.close()
    await page.locator('#link[data-state="lost"]').waitFor({ timeout: 20_000 })
    expect(await page.locator('#link').textContent()).toMatch(/^no contact since \d\d:\d\d:\d\d$/)
  })

  it('asks for the token once, keeps it for the tab, and asks again where it is not taken any more', async () => {
    let wanted = 'token-of-this-api'
    const address = await open('/?filter=', undefined, { isToken: token => token === wanted })
    await page.getByText('This API wants its token.').waitFor()
    await page.keyboard.type('tökén')
    await page.keyboard.press('Enter')
    expect(await page.locator('#token:invalid').count()).toBe(1)
    await page.locator('#token').fill('some-other-token')
    await page.keyboard.press('Enter')
    await page.getByText('The API did not take this token.').waitFor()
    await page.locator('#token').fill(wanted)
    await page.keyboard.press('Enter')
    await rows().first().waitFor()
    expect(await page.locator('#link').textContent()).toBe('live')
    expect(page.url()).not.toContain(wanted)
    await page.goto(`${address}/?groupBy=unit`)
    await rows().first().waitFor()
    wanted = 'another-token-of-this-api'
    await page.reload()
    await page.getByText('The API did not take this token.').waitFor()
    expect(await rows().count()).toBe(0)
    // the browser itself tells of each refusal
    expect(complaints.filter(text => !text.includes('401'))).toEqual([])
  })

  it('never draws more than some 200 things, however large the machine', async () => {
    await open('/', ({ reader }) => {
      reader.nodes = Array.from({ length: 2000 }, (_, i) => fixtureNode(`s${i}`))
      reader.edges = Array.from({ length: 5000 }, (_, i): TopologyEdge => {
        const edge = fixtureEdge(`s${i % 2000}`, `s${(i * 7919 + 1) % 40}`, i)
        return { ...edge, id: `${edge.id}#${i}` }
      })
    })
    await rows().nth(199).waitFor()
    expect(await page.locator('.map .node, .map .arrow').count()).toBeLessThanOrEqual(200)
    expect(await rows().count()).toBe(200)
    expect(await page.locator('#edges-head').textContent()).toMatch(
      /leaves out [\d,]+ nodes and [\d,]+ edges/,
    )
    expect(await page.locator('.rest').textContent()).toBe('4,800 more edges; filter to see them.')
    expect(complaints).toEqual([])
  })
})
