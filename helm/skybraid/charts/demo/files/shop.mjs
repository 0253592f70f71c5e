// One of the shop's programs: shop.mjs ROLE. Each says every ten seconds how many calls of which kind it made and took.
import { createServer, get } from 'node:http'

const [role] = process.argv.slice(2)
const calls = new Map()
const count = what => calls.set(what, (calls.get(what) ?? 0) + 1)

function call(service) {
  return new Promise(resolve => {
    count(`called ${service}`)
    const request = get(`http://${service}/`, { timeout: 2_000 }, response => {
      response.resume().on('end', () => resolve(response.statusCode))
    })
    request
      .on('timeout', () => request.destroy())
      .on('error', () => {
        count(`failed ${service}`)
        resolve(0)
      })
  })
}

// what each program asks of others before it answers
const needs = { front: ['catalog', 'orders'], catalog: [], orders: ['catalog', 'payments'] }

if (role === 'customers') {
  const everyMs = 1_000 / Number(process.env.REQUESTS_PER_SECOND)
  setInterval(() => void call('front'), everyMs)
} else {
  createServer(async (_request, response) => {
    count('answered')
    await Promise.all(needs[role].map(call))
    response.end(`${role}\n`)
  }).listen(8080)
}

setInterval(() => console.log(JSON.stringify({ role, ...Object.fromEntries(calls) })), 10_000).unref()
process.on('SIGTERM', () => {
  console.log(JSON.stringify({ role, ...Object.fromEntries(calls) }))
  process.exit(0)
})
